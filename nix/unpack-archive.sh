# Unpacks $downloadedFile, an archive whose name says nothing of its kind, to $out,
# without its one top folder: what nixpkgs' fetchzip makes of one that is named well.
# What it is unpacked to is counted first, whatever it says of its size, then holes in it.
limit=${NIX_LIBRE_ARCHIVE_LIMIT:-8589934592} # bytes, as libre's limits.archive has it
content() {
  case $(head -c 6 "$downloadedFile" | od -An -tx1 | tr -d ' \n') in
    1f8b*) gzip -dc "$downloadedFile" ;;
    fd377a585a00) xz -dc "$downloadedFile" ;;
    28b52ffd*) zstd -dc "$downloadedFile" ;;
    425a68*) bzip2 -dc "$downloadedFile" ;;
    504b0304*) unzip -p "$downloadedFile" ;;
    *) cat "$downloadedFile" ;;
  esac 2>/dev/null
}
within() {
  if [ "$(head -c $((limit + 1)) | wc -c)" -gt "$limit" ]; then
    echo "the archive is larger than the limit of $limit bytes: NIX_LIBRE_ARCHIVE_LIMIT sets it" >&2
    exit 1
  fi
}
content | within || [ "${PIPESTATUS[1]}" = 0 ] || exit 1
unpacked="$TMPDIR/unpacked"
mkdir "$unpacked"
case $(head -c 6 "$downloadedFile" | od -An -tx1 | tr -d ' \n') in
  1f8b*) gzip -dc "$downloadedFile" | tar -xf - -C "$unpacked" ;;
  fd377a585a00) xz -dc "$downloadedFile" | tar -xf - -C "$unpacked" ;;
  28b52ffd*) zstd -dc "$downloadedFile" | tar -xf - -C "$unpacked" ;;
  425a68*) bzip2 -dc "$downloadedFile" | tar -xf - -C "$unpacked" ;;
  504b0304*) LC_ALL=C.UTF-8 unzip -qq "$downloadedFile" -d "$unpacked" ;;
  *) tar -xf "$downloadedFile" -C "$unpacked" ;;
esac
chmod -R +w "$unpacked"
find "$unpacked" -type f -exec cat {} + | within || [ "${PIPESTATUS[1]}" = 0 ] || exit 1
if [ "$(ls -A "$unpacked" | wc -l)" != 1 ]; then
  echo "the archive must have one file or folder at its top, it has $(ls -A "$unpacked" | wc -l)" >&2
  exit 1
fi
top="$unpacked/$(ls -A "$unpacked")"
if [ -f "$top" ]; then mkdir "$out"; fi
mv "$top" "$out"
chmod 755 "$out"

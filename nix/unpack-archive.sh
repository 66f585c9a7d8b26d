# Unpacks $downloadedFile, an archive whose name says nothing of its kind, to $out,
# without its one top folder: what nixpkgs' fetchzip makes of one that is named well.
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
if [ "$(ls -A "$unpacked" | wc -l)" != 1 ]; then
  echo "the archive must have one file or folder at its top, it has $(ls -A "$unpacked" | wc -l)" >&2
  exit 1
fi
top="$unpacked/$(ls -A "$unpacked")"
if [ -f "$top" ]; then mkdir "$out"; fi
mv "$top" "$out"
chmod 755 "$out"

# Applies an app's changes to its source, in order. Inputs are environment
# variables, one set a change: patch_N | file_N and add_N | file_N with
# from_N_M and to_N_M. Runs in busybox ash and in bash alike.
cp -rP "$fetched" "$out"
chmod -R u+w "$out"
cd "$out"

die() { echo "$app: $*" >&2; exit 1; }

# Replaces a literal text, every occurrence; awk reads the texts from the
# environment, where no character has a meaning.
replace() {
  FROM=$2 TO=$3 awk '
    BEGIN { RS = "\001"; from = ENVIRON["FROM"]; to = ENVIRON["TO"] }
    NR > 1 { printf "\001" }
    { text = $0; out = ""
      while ((at = index(text, from)) > 0) {
        out = out substr(text, 1, at - 1) to
        text = substr(text, at + length(from)); found = 1
      }
      printf "%s%s", out, text }
    END { exit !found }' "$1" > "$TMPDIR/replaced" || return 1
  cat "$TMPDIR/replaced" > "$1"
}

# GNU patch leaves FILE.orig where a hunk moved; busybox's does not, and knows no such flag.
quiet=
case $(patch --version 2>/dev/null) in "GNU patch"*) quiet=--no-backup-if-mismatch ;; esac

i=0
while [ "$i" -lt "$changes" ]; do
  eval "patch=\${patch_$i-} add=\${add_$i-} file=\${file_$i-}"
  if [ -n "$patch" ]; then
    patch -p1 $quiet < "$patch" || die "patch ${patch#*-} does not apply"
  elif [ -n "$add" ]; then
    mkdir -p "$(dirname "./$file")"
    if [ -d "$add" ]; then
      mkdir -p "./$file" # which may be there: the two become one
      cp -rP "$add/." "./$file/"
    else
      [ ! -d "./$file" ] || die "add: $file is a folder in the source, and a file is added"
      rm -f "./$file"
      cp -P "$add" "./$file"
    fi
    chmod -R u+w "./$file"
  else
    [ -f "./$file" ] || die "substitute: no file $file in the source"
    j=0
    while eval "[ -n \"\${from_${i}_$j+x}\" ]"; do
      eval "from=\$from_${i}_$j to=\$to_${i}_$j"
      replace "./$file" "$from" "$to" || die "substitute: \"$from\" not found in $file"
      j=$((j + 1))
    done
  fi
  i=$((i + 1))
done

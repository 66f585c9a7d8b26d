#!/usr/bin/env bash
# What make demo does, after it has compiled libre: builds, publishes, verifies, shows and runs
# the example app, until Ctrl-C. Without a terminal it asks the app and the page once, and ends.
#   usage: demo.sh LIBRE HELPER_PID PORT
# in the catalogue's folder; HELPER_PID compiles libre-inspect beside LIBRE.
set -euo pipefail
libre=$1 helper=$2 port=$3
app=$((port + 1))
export LIBRE_PACKAGE_SET=host COSIGN_PASSWORD=demo LIBRE_REGISTRY=localhost:$port/demo

serve='' run=''
cleanup() {
  trap '' INT TERM
  [ -z "$run" ] || { kill -INT "$run" && wait "$run"; } 2>/dev/null || true
  kill "$serve" "$helper" 2>/dev/null || true
  wait
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '\n$ libre %s\n' "$*"; "$libre" "$@"; }

# Waits until a background program, PID, has written a text into a file.
await() { # PID TEXT FILE
  until grep -q "$2" "$3"; do
    kill -0 "$1" 2>/dev/null || { cat "$3" >&2; exit 1; }
    sleep 0.2
  done
}

registry() { # FLAG...
  : >registry.log # the program below may open it after it is read
  "$libre" serve --port "$port" --writable registry "$@" >registry.log 2>&1 & serve=$!
  await $serve serving registry.log
}

[ -e flake.nix ] || "$libre" init . </dev/null
registry # build asks it for published bases
say build guestbook
[ -e cosign.key ] || say keygen
kill -0 "$helper" 2>/dev/null && echo 'waiting for the compiler: libre-inspect lists what is in images'
tail --pid="$helper" -f /dev/null
[ -x "${libre%/*}/libre-inspect" ] || { echo 'libre-inspect was not compiled' >&2; exit 1; }

say push guestbook --key cosign.key
say verify 'guestbook/*/lyon' --key cosign.pub
say status guestbook --key cosign.pub
say site --output page --key cosign.pub
kill $serve && wait $serve || true
registry --site page

printf '\n$ libre run guestbook --port %s\n' $app
: >app.log
"$libre" run guestbook --port $app >app.log & run=$!
await $run '^http://' app.log

page=http://localhost:$port
answers() { # URL TEXT
  [[ $(busybox wget -q -O - "$1") == *"$2"* ]] || { echo "$1 does not have '$2'" >&2; exit 1; }
}
answers "$page/apps/guestbook.html" 'Guestbook with a JSON API'
answers "http://127.0.0.1:$app/api/entries" '"entries"'

cat <<END

The guestbook answers:     http://127.0.0.1:$app
The page of the catalogue: $page

Try next, in $PWD:
  $libre show guestbook
  $libre sbom guestbook/backend/default --package-set host
  $libre run 'guestbook/*/lyon' --package-set host   # with the city's brand
  $libre build pocketbase --package-set host         # upstream's, and a minute of compiling
END
if [ -t 1 ]; then
  echo
  echo 'Ctrl-C ends both.'
  wait $run
fi

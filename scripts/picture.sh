#!/usr/bin/env bash
# What make picture draws: an app of one's own, from its source to what is published and
# verified.
#   usage: picture.sh PORT
# with libre in PATH, in an empty folder.
set -euo pipefail
port=$1
export LIBRE_PACKAGE_SET=host COSIGN_PASSWORD=picture NIX_CONFIG='substitute = false'

libre init . </dev/null 2>/dev/null
libre keygen 2>/dev/null
printf 'registry: localhost:%s/coop\nsign:\n  key: cosign.key\n' "$port" >>libre.yaml
libre serve --port "$port" --writable registry >registry.log 2>&1 &
trap 'kill $!' EXIT
until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done

say() { printf '\033[1;32m$\033[0m \033[1m%s\033[0m\n' "$*"; "$@"; echo; }
say libre new hey --go-module github.com/rakyll/hey
say libre push hey
say libre verify hey/hey/default

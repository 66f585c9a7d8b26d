#!/usr/bin/env bash
# Runs each fuzz test for a while, one after another: fuzz.sh TIME [PACKAGE...], such as
# fuzz.sh 20s ./internal/web. What a run finds interesting stays in Go's cache for the next
# one; an input that fails is written below testdata/fuzz of its package.
set -euo pipefail
cd "$(dirname "$0")/.."
for_each=$1
shift
found=$(git grep -lE '^func Fuzz' -- '*_test.go' | xargs -n 1 dirname | sort -u | sed 's|^|./|')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
for package in ${*:-$found}; do
  # One program for all tests of a package: `go test -fuzz` would link it for each. Coverage
  # guides the inputs, but that of libre's own code only: `-fuzz` would compile all modules anew.
  go test -vet=off -c -gcflags="$(go list -m)/...=-dwarf=false -d=libfuzzer" -o "$work/test" "$package"
  for target in $(grep -hoE '^func Fuzz\w+' "$package"/*_test.go | cut -d ' ' -f 2 | sort); do
    echo "$package $target"
    (cd "$package" && "$work/test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$for_each" \
      -test.fuzzcachedir "$(go env GOCACHE)/fuzz/$(go list)" </dev/null >"$work/log" 2>&1) || {
      # At its end Go may report the time that is over as a failure: https://go.dev/issue/75804
      grep -q 'context deadline exceeded' "$work/log" && ! grep -qE 'Failing input|testing seed corpus' "$work/log" || {
        cat "$work/log"
        exit 1
      }
    }
    count=$((count + 1))
  done
done
echo "$count fuzz tests, $for_each each: nothing found"

#!/bin/sh
# Wraps the OCI runtime LIBRE_RUNTIME: adds variables to each process, unless its image or
# step sets them. Neither the image nor its history contains them. LIBRE_STEP_VARIABLES
# has one variable a line, as a JSON string.
# https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md#process
set -eu

bundle=
previous=
for argument do
  case $previous in --bundle | -b) bundle=$argument ;; esac
  case $argument in --bundle=*) bundle=${argument#--bundle=} ;; esac
  previous=$argument
done

if [ -n "$bundle" ]; then
  config=$(cat "$bundle/config.json")
  # A quote inside a string is escaped, so this can only be the key.
  before=${config%%'"env":['*}'"env":['
  after=,${config#*'"env":['}
  more=
  newline='
'
  variables=$LIBRE_STEP_VARIABLES$newline
  while [ -n "$variables" ]; do
    variable=${variables%%"$newline"*}
    variables=${variables#*"$newline"}
    case $after in
      *,"${variable%%=*}="*) ;;
      *) more=$more$variable, ;;
    esac
  done
  printf %s "$before$more${after#,}" >"$bundle/config.json"
fi
exec "$LIBRE_RUNTIME" "$@"

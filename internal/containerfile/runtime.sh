#!/bin/sh
# Stands before an OCI runtime, which LIBRE_RUNTIME names, and gives each process that it
# begins the variables that its image and step do not set. In this way neither the image
# nor its history has them. LIBRE_STEP_VARIABLES has one a line, as a string in JSON.
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
  # A quote within a string has a backslash before it: this is the key.
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

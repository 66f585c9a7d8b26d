package settings

import _ "embed" // for the schema

// Schema is the JSON Schema 2020-12 of libre.yaml, made from the tables of keys. Editors use
// it; libre itself checks more.
//
//go:embed settings.schema.json
var Schema []byte

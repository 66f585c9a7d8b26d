package describe

import _ "embed" // for the schema

// Schema is the JSON Schema 2020-12 of the document, made from the types of this package
// and their comments.
//
//go:embed application.schema.json
var Schema []byte

package nix

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"
)

// decode decodes the JSON of an evaluation. A value of the wrong type in a definition is
// an *Error, like Nix's own errors.
func decode(doing string, printed []byte, result any) error {
	if !utf8.Valid(printed) { // up to 2.1x Nix does not validate strings
		return &Error{Doing: doing, Message: notUTF8}
	}
	err := json.Unmarshal(printed, result)
	if err == nil {
		return nil
	}
	message := "a value cannot be written as JSON, such as an infinite number"
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		value, _, _ := strings.Cut(wrong.Value, " ")
		message = fmt.Sprintf("%s is %s, expected %s", attributeName(wrong.Field), typeName(value), expectedType(wrong.Type))
	}
	return &Error{Doing: doing, Message: message}
}

const notUTF8 = "a string is not UTF-8"

// unwritable matches the error of Nix's JSON library, from 2.1x on, for a string that is
// not UTF-8. https://json.nlohmann.me/home/exceptions/#jsonexceptiontype_error316
var unwritable = regexp.MustCompile(`json\.exception\.type_error\.316`)

// attributeName returns an attribute's name from its path in the result of [expression].
func attributeName(field string) string {
	for _, list := range []string{"apps.", "images."} {
		field = strings.TrimPrefix(field, list)
	}
	return field
}

// typeName returns Nix's name of a JSON type.
func typeName(value string) string {
	switch value {
	case "object":
		return "a set"
	case "array":
		return "a list"
	case "bool":
		return "true or false"
	}
	return "a " + value
}

func expectedType(wanted reflect.Type) string {
	switch wanted.Kind() {
	case reflect.Map, reflect.Struct:
		return "a set"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "an integer"
	}
	return "a string"
}

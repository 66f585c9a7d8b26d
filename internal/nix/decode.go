package nix

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
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
	if bad := (*json.SyntaxError)(nil); errors.As(err, &bad) && !notANumber().Match(printed[max(0, bad.Offset-1):]) {
		return &fault.Fault{Doing: doing, Err: notJSON(printed, bad.Offset), Fix: "run the same command again, and check nix with libre doctor"}
	}
	message := "a number cannot be written as JSON, because it is infinite"
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		value, _, _ := strings.Cut(wrong.Value, " ")
		message = fmt.Sprintf("%s is %s, expected %s", attributeName(wrong.Field), typeName(value), expectedType(wrong.Type))
	}
	return &Error{Doing: doing, Message: message}
}

// notANumber matches the rest of what Nix prints for a number that JSON does not have: inf, -inf, nan.
var notANumber = lazyregexp.New(`^(inf|an)\b`)

// notJSON explains why the output of a successful nix is not JSON.
func notJSON(printed []byte, offset int64) error {
	switch {
	case len(bytes.TrimSpace(printed)) == 0:
		return errors.New("nix ended without an error and printed nothing")
	case int(offset) >= len(printed):
		return errors.New("nix ended without an error, but what it printed ends in the middle")
	}
	return fmt.Errorf("nix printed %s, which is not JSON", strconv.Quote(text.Short(string(printed), 40)))
}

const notUTF8 = "a string is not UTF-8"

// unwritable matches the error of Nix's JSON library, from 2.1x on, about a string that is not
// UTF-8.
// https://json.nlohmann.me/home/exceptions/#jsonexceptiontype_error316
var unwritable = lazyregexp.New(`json\.exception\.type_error\.316`)

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

package nixedit

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Value is a value that is safe to write into a Nix file. Only the functions below make one.
// They refuse every character with a special meaning in either kind of string.
type Value struct {
	text    string
	integer bool
	valid   bool
}

func (v Value) String() string { return v.text }

var (
	version = lazyregexp.New(`\A[0-9A-Za-z._-]+\z`)
	tag     = lazyregexp.New(`\A[0-9A-Za-z@][0-9A-Za-z._/@+-]*\z`)
	digest  = lazyregexp.New(`\Asha256:[0-9a-f]{64}\z`)
	image   = lazyregexp.New(`\A[0-9A-Za-z][0-9A-Za-z._-]*(?:/[0-9A-Za-z][0-9A-Za-z._-]*){1,2}\z`)
	date    = lazyregexp.New(`\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z`)
)

// maxVersion is the greatest length of an OCI tag.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
const maxVersion = 128

// maxTag is the greatest length of a tag of a git repository that libre writes.
const maxTag = 250

// Tag returns the value of a tag of a git repository, or of a module's version.
func Tag(text string) (Value, error) {
	if !tag().MatchString(text) || len(text) > maxTag {
		return Value{}, fmt.Errorf("tag %s: expected at most %d of 0-9 A-Z a-z . _ / @ + -", quote(text), maxTag)
	}
	return Value{text: text, valid: true}, nil
}

// Version returns the value of a version or commit.
func Version(text string) (Value, error) {
	if !version().MatchString(text) || len(text) > maxVersion {
		return Value{}, fmt.Errorf("version %s: expected at most %d of 0-9 A-Z a-z . _ -", quote(text), maxVersion)
	}
	return Value{text: text, valid: true}, nil
}

// Hash returns the value of an SRI hash, sha256 or sha512, in the form of
// https://www.w3.org/TR/SRI/, or of "" for a hash that a build will find.
func Hash(text string) (Value, error) {
	if text == "" {
		return Value{valid: true}, nil
	}
	sizes := map[string]int{"sha256": 32, "sha512": 64}
	kind, sum, _ := strings.Cut(text, "-")
	bytes, err := base64.StdEncoding.Strict().DecodeString(sum)
	if size, known := sizes[kind]; !known || err != nil || len(bytes) != size || strings.ContainsAny(text, "\r\n") {
		return Value{}, fmt.Errorf("hash %s: expected one like sha256-…=", quote(text))
	}
	return Value{text: text, valid: true}, nil
}

// Digest returns the value of an OCI digest: sha256: and 64 hexadecimal digits.
func Digest(text string) (Value, error) {
	if !digest().MatchString(text) {
		return Value{}, fmt.Errorf("digest %s: expected one like sha256:…", quote(text))
	}
	return Value{text: text, valid: true}, nil
}

// Image returns the value of an image of the catalogue: app/component or app/component/variant.
func Image(text string) (Value, error) {
	if !image().MatchString(text) {
		return Value{}, fmt.Errorf("image %s: expected app/component or app/component/variant", quote(text))
	}
	return Value{text: text, valid: true}, nil
}

// Date returns the value of a day, YYYY-MM-DD.
func Date(text string) (Value, error) {
	if _, err := time.Parse(time.DateOnly, text); err != nil || !date().MatchString(text) {
		return Value{}, fmt.Errorf("date %s: expected YYYY-MM-DD", quote(text))
	}
	return Value{text: text, valid: true}, nil
}

// Integer returns the value of a natural number.
func Integer(n int) (Value, error) {
	if n < 0 {
		return Value{}, fmt.Errorf("integer %d: expected 0 or more", n)
	}
	return Value{text: strconv.Itoa(n), integer: true, valid: true}, nil
}

// quote shows a text from outside in a message, cut if it is long.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		return strconv.QuoteToASCII(text[:most]) + "…"
	}
	return strconv.QuoteToASCII(text)
}

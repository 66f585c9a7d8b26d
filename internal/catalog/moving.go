package catalog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

var tagForm = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// CheckMovingTag returns an error if a pattern is not a valid moving tag. A pattern is a
// tag in which {major} and {minor} stand for the first two numbers of the version.
func CheckMovingTag(pattern string) error {
	tag := strings.NewReplacer("{major}", "1", "{minor}", "1").Replace(pattern)
	switch {
	case pattern == "":
		return errors.New("it is empty")
	case strings.ContainsAny(tag, "{}"):
		return errors.New("the only placeholders are {major} and {minor}")
	case !tagForm().MatchString(tag):
		return errors.New("a tag consists of letters, digits, _, . and -, and does not begin with . or -")
	}
	if _, _, immutable := ParseTag(tag); immutable {
		return errors.New("it looks like the tag of a release, which never moves")
	}
	return nil
}

// ExpandMovingTag expands a moving tag for a version. If the result looks like a version,
// it must be a prefix of this one: 5.4 is no tag for 6.0.1. The pattern must have passed
// CheckMovingTag.
func ExpandMovingTag(pattern, version string) (string, error) {
	numbers := writtenNumbers(version)
	tag := pattern
	for i, placeholder := range []string{"{major}", "{minor}"} {
		if !strings.Contains(tag, placeholder) {
			continue
		}
		if i >= len(numbers) {
			return "", fmt.Errorf("tag %s: version %s has no %s", pattern, version, strings.Trim(placeholder, "{}"))
		}
		tag = strings.ReplaceAll(tag, placeholder, numbers[i])
	}
	if !MayMoveTo(tag, version) {
		return "", fmt.Errorf("tag %s: it looks like a version, but not like version %s", tag, version)
	}
	return tag, nil
}

// writtenNumbers returns the numeric parts at the start of a version as it has them, with
// leading zeros: 24 and 04 for 24.04.
func writtenNumbers(version string) []string {
	numbers := VersionNumbers(version)
	written := strings.FieldsFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	return written[:min(len(numbers), len(written))]
}

// MayMoveTo reports whether a moving tag may point to a release of a version. A tag that
// looks like a version must be that version or a prefix of it: 5 and v5.4 for 5.4.1. A tag
// looks like a version if its first digit is at the start, after a v, or after the text
// that starts the version itself.
func MayMoveTo(tag, version string) bool {
	prefix := version[:leadingWords(version)]
	number, found := strings.CutPrefix(tag, prefix)
	if !found || leadingWords(number) > 0 {
		number = strings.TrimLeft(tag, "vV")
	}
	if leadingWords(number) > 0 || number == "" {
		return true // for example latest
	}
	return strings.HasPrefix(version[len(prefix):]+".", number+".")
}

// leadingWords returns the number of bytes before the first digit.
func leadingWords(text string) int {
	if at := strings.IndexAny(text, "0123456789"); at >= 0 {
		return at
	}
	return len(text)
}

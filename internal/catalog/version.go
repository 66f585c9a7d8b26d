package catalog

import (
	"cmp"
	"slices"
	"strings"
)

// CompareVersions returns -1 if a is lower than b, 1 if it is higher, and 0 if neither. It
// agrees with Semantic Versioning 2.0.0 (https://semver.org, section 11) for all semver
// versions, apart from digits within words. It extends that order to any string:
//
//   - A version has any number of numeric parts of any size: 28.0.4.1.
//     1.2 equals 1.2.0, and 01 equals 1.
//   - A leading v and build metadata (after +) do not count.
//   - The text after the first hyphen makes a prerelease. Its identifiers are ordered
//     as semver's, except that digits in a word are a number: 1.2.3-r10 is above
//     1.2.3-r9, as authors of such versions mean it.
//   - Without a hyphen, letters and digits are separate parts. A word that is known
//     for prereleases is below the text before it (1.2.3rc10 < 1.2.3,
//     3.0.0.beta2 < 3.0.0, as Python, Ruby and Java write them). Any other word is
//     above it (1.0.2u > 1.0.2).
//   - A version that does not start with a number is below all that do.
//
// The order is a total preorder: it is transitive, and CompareVersions(a, b) is
// -CompareVersions(b, a).
func CompareVersions(a, b string) int {
	x, y := parseVersion(a), parseVersion(b)
	if c := cmp.Compare(min(len(x.core), 1), min(len(y.core), 1)); c != 0 {
		return c
	}
	for i := range max(len(x.core), len(y.core)) {
		if c := compareNumbers(at(x.core, i), at(y.core, i)); c != 0 {
			return c
		}
	}
	for i := range max(len(x.rest), len(y.rest)) {
		if c := at(x.rest, i).compare(at(y.rest, i)); c != 0 {
			return c
		}
	}
	return 0
}

// IsPrerelease reports whether a version has a part that makes it precede the version
// without that part, as 1.2.3-rc1 precedes 1.2.3. By the rules of semver, 2024-01-15 is a
// prerelease: replace such hyphens before the call.
func IsPrerelease(version string) bool {
	return slices.ContainsFunc(parseVersion(version).rest, func(p versionPart) bool { return p.class < versionEnd })
}

// VersionNumbers returns the numeric parts at the start of a version, without leading
// zeros: 28, 0, 4 and 1 for v28.0.4.1-rc1. A version may have none.
func VersionNumbers(version string) []string {
	numbers, _ := cutNumbers(version)
	for i, number := range numbers {
		numbers[i] = cmp.Or(number, "0")
	}
	return numbers
}

// VersionShape returns the text after the numbers of a version, up to the first word that
// marks a prerelease. In it, one 0 replaces each run of digits. VersionShape also reports
// whether there is such a word. The shape of 1.2.3 is "", that of 1.2.3-ce and of
// 1.2.3-ce-rc1 is "-ce".
func VersionShape(version string) (shape string, prerelease bool) {
	_, rest := cutNumbers(version)
	for rest != "" {
		switch {
		case isDigit(rest[0]):
			shape, rest = shape+"0", strings.TrimLeft(rest, digits)
		case strings.IndexByte(separators, rest[0]) >= 0:
			shape, rest = shape+rest[:1], rest[1:]
		default:
			word, known := cutWord(rest)
			if known {
				return strings.TrimRight(shape, separators), true
			}
			shape, rest = shape+word, rest[len(word):]
		}
	}
	return shape, false
}

type parsedVersion struct {
	core []string // decimal digits without leading zeros, "" for 0
	rest []versionPart
}

// These are the classes of parts, in order. The end of a version is above the parts that
// mark a prerelease and below other additions.
const (
	prereleaseNumber = iota - 2
	prereleaseWord
	versionEnd
	versionNumber
	versionWord
)

type versionPart struct {
	class int
	text  string
}

func (p versionPart) compare(q versionPart) int {
	switch {
	case p.class != q.class:
		return cmp.Compare(p.class, q.class)
	case p.class == versionNumber || p.class == prereleaseNumber:
		return compareNumbers(p.text, q.text)
	}
	return compareWords(p.text, q.text)
}

// compareWords compares runs of digits in words as numbers, and other runs as text. A
// number is below any text.
func compareWords(a, b string) int {
	for a != "" && b != "" {
		x, y := run(a), run(b)
		a, b = a[len(x):], b[len(y):]
		switch {
		case isDigit(x[0]) && isDigit(y[0]):
			if order := compareNumbers(trimZeros(x), trimZeros(y)); order != 0 {
				return order
			}
		case isDigit(x[0]):
			return -1
		case isDigit(y[0]):
			return 1
		case x != y:
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

// run returns the run of digits, or of other characters, at the start of a text.
func run(text string) string {
	if isDigit(text[0]) {
		return text[:len(text)-len(strings.TrimLeft(text, digits))]
	}
	if end := strings.IndexAny(text, digits); end >= 0 {
		return text[:end]
	}
	return text
}

// at returns an element, or the zero value beyond the end: the number 0 or the end of a
// version.
func at[T any](list []T, i int) (value T) {
	if i < len(list) {
		value = list[i]
	}
	return value
}

// compareNumbers compares decimal numbers without leading zeros.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

const (
	digits     = "0123456789"
	separators = "._~-"
)

// cutNumbers splits a version into its numeric parts, with "" for 0, and the rest without
// build metadata.
func cutNumbers(version string) (numbers []string, rest string) {
	version, _, _ = strings.Cut(version, "+")
	if len(version) > 1 && (version[0] == 'v' || version[0] == 'V') && isDigit(version[1]) {
		version = version[1:]
	}
	for version != "" && isDigit(version[0]) {
		rest := strings.TrimLeft(version, digits)
		numbers = append(numbers, trimZeros(version[:len(version)-len(rest)]))
		version = rest
		if len(rest) > 1 && rest[0] == '.' && isDigit(rest[1]) {
			version = rest[1:]
		}
	}
	return numbers, version
}

func parseVersion(version string) parsedVersion {
	var parsed parsedVersion
	parsed.core, version = cutNumbers(version)
	plain, identifiers, hyphen := strings.Cut(version, "-")
	parsed.rest = plainParts(plain)
	if hyphen {
		first := len(parsed.rest)
		for identifier := range strings.SplitSeq(identifiers, ".") {
			part := versionPart{versionWord, identifier}
			if identifier != "" && strings.Trim(identifier, digits) == "" {
				part = versionPart{versionNumber, trimZeros(identifier)}
			}
			parsed.rest = append(parsed.rest, part)
		}
		parsed.rest[first].class += prereleaseNumber - versionNumber
	}
	return parsed
}

// plainParts splits the text between the numbers and the first hyphen into runs of digits
// and runs of other characters. Separators end a run, too.
func plainParts(text string) []versionPart {
	var parts []versionPart
	for text = strings.TrimLeft(text, separators); text != ""; text = strings.TrimLeft(text, separators) {
		if isDigit(text[0]) {
			rest := strings.TrimLeft(text, digits)
			parts = append(parts, versionPart{versionNumber, trimZeros(text[:len(text)-len(rest)])})
			text = rest
			continue
		}
		word, known := cutWord(text)
		part := versionPart{versionWord, word}
		if known {
			part.class = prereleaseWord
		}
		parts = append(parts, part)
		text = text[len(word):]
	}
	return parts
}

// cutWord returns the word at the start of a text, and whether it marks a prerelease.
func cutWord(text string) (word string, prerelease bool) {
	end := strings.IndexAny(text, digits+separators)
	if end < 0 {
		end = len(text)
	}
	word = text[:end]
	return word, isPrereleaseWord(word, end < len(text) && isDigit(text[end]))
}

// isPrereleaseWord knows the words of Python (PEP 440) and Maven, and the usual names of
// unfinished builds. A single letter counts only before a digit: 1.2.3a1 precedes 1.2.3,
// but 1.0.2a follows 1.0.2.
func isPrereleaseWord(word string, beforeDigit bool) bool {
	switch strings.ToLower(word) {
	case "a", "b", "c", "m":
		return beforeDigit
	case "alpha", "beta", "rc", "cr", "pre", "preview", "prerelease", "dev", "devel", "snapshot", "milestone",
		"nightly", "canary", "next", "unstable", "test", "testing":
		return true
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func trimZeros(number string) string { return strings.TrimLeft(number, "0") }

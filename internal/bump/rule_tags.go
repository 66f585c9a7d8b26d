package bump

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// A reader reads versions from tags: by update.tags, or by the shape of the current tag.
type reader struct {
	rule    *Rule
	example string // current tag, for verdicts
	bare    string // text before the version, without its v
	suffix  string // text after the version
	shape   string // the text after the numbers of the current version
	numbers int    // of the current version
	level   bool   // the shape is a patch level of upstream: 1.2.3-2 comes after 1.2.3

	levelForm *regexp.Regexp // matches a suffix that is a patch level; nil if it is none
	current   reading
}

// reading is the result of reading a tag.
type reading struct {
	version string // "" for none
	frame   string // the text around the version, which distinguishes v2.3.3 from 2.3.3
	problem string // why there is no version
}

// newReader fails if there is neither update.tags nor a tag that contains the version.
// Without a tag, as for an app pinned to a commit, the version is the example.
func newReader(rule *Rule, version, tag string) (*reader, error) {
	r := &reader{rule: rule, example: tag, numbers: len(catalog.VersionNumbers(version))}
	shape, prerelease := catalog.VersionShape(version)
	r.shape, r.level = shape, !prerelease && patchLevel().MatchString(shape)
	if rule.tags == nil {
		if tag == "" {
			r.example = version
		}
		replaced := rule.replacer.Replace(r.example)
		at := strings.LastIndex(replaced, version)
		if at < 0 || !startsWithDigit(version) {
			return nil, fmt.Errorf("the version %[2]s is not found in the tag %[1]q: set update.tags, or update.transform", text.Name(r.example), version)
		}
		r.bare, r.suffix = withoutV(replaced[:at]), replaced[at+len(version):]
		if patchLevel().MatchString(digitRuns().ReplaceAllString(r.suffix, "0")) {
			r.levelForm = regexp.MustCompile(digitRuns().ReplaceAllString(regexp.QuoteMeta(r.suffix), "[0-9]+") + "$")
		}
	}
	r.current = r.read(r.example)
	return r, nil
}

const (
	// A tag of a registry has at most 128 characters, with the package version:
	// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
	maxVersion = 100
	maxTag     = 250
)

var (
	// safeTag is what git allows in a tag's name, without characters that have a meaning in
	// a Nix string, a shell, a URL or a terminal.
	safeTag     = lazyregexp.New(`^[0-9A-Za-z][0-9A-Za-z._/@+-]*$|^@[0-9A-Za-z._/@+-]+$`)
	safeVersion = lazyregexp.New(`^[0-9A-Za-z][0-9A-Za-z._-]*$`)
)

// unfitVersion is the start of a verdict that update.transform can change.
const unfitVersion = "refused: version"

// read reads the version of a tag. It refuses characters outside of the alphabets for tags
// and versions, since both are written to a Nix file.
func (r *reader) read(tag string) reading {
	switch {
	case len(tag) > maxTag:
		return reading{problem: fmt.Sprintf("refused: %d bytes", len(tag))}
	case !safeTag().MatchString(tag), strings.Contains(tag, ".."):
		return reading{problem: "refused: unsafe characters"}
	}
	text := r.rule.replacer.Replace(tag)
	found := r.byShape
	if r.rule.tags != nil {
		found = r.byPattern
	}
	start, end, problem := found(text)
	if problem != "" {
		return reading{problem: problem}
	}
	version := text[start:end]
	switch {
	case len(version) > maxVersion:
		return reading{problem: fmt.Sprintf("refused: a version of %d bytes", len(version))}
	case !safeVersion().MatchString(version):
		return reading{problem: fmt.Sprintf(unfitVersion+" %q, expected 0-9 A-Z a-z . _ - (see update.transform)", version)}
	}
	return reading{version: version, frame: text[:start] + "\x00" + text[end:]}
}

func (r *reader) byPattern(text string) (start, end int, problem string) {
	match := r.rule.tags.FindStringSubmatchIndex(text)
	if match == nil || match[2] < 0 {
		return 0, 0, "update.tags does not match"
	}
	return match[2], match[3], ""
}

func (r *reader) byShape(text string) (start, end int, problem string) {
	problem = "another shape than " + r.example
	start, end = len(r.bare), len(text)-len(r.suffix)
	if r.levelForm != nil && !strings.HasSuffix(text, r.suffix) {
		end = len(text) - len(r.levelForm.FindString(text))
	} else if !strings.HasSuffix(text, r.suffix) {
		return 0, 0, problem
	}
	if !strings.HasPrefix(text, r.bare) {
		return 0, 0, problem
	}
	if start < end && (text[start] == 'v' || text[start] == 'V') {
		start++
	}
	if start >= end || !startsWithDigit(text[start:end]) {
		return 0, 0, problem
	}
	// A date or a build number alone does not follow 5.4.1.
	shape, _ := catalog.VersionShape(text[start:end])
	if numbers := len(catalog.VersionNumbers(text[start:end])); !r.like(shape) || (numbers > 1) != (r.numbers > 1) {
		return 0, 0, problem
	}
	return start, end, ""
}

// patchLevel is the shape of upstream's own patch levels of a version: -2, +ds1, -r1,
// .post1, the u of 1.0.2u.
var patchLevel = lazyregexp.New(`^(?:[-._+~]?(?i:r|p|pl|ls|sp|ds|dfsg|rev|patch|post|build|hotfix|update|u)?[-._]?0)+$|^z*[a-z]$`)

// correction is the shape of a suffix that follows the version without it, no matter who
// counts. To semver, 1.2.3-1 comes before 1.2.3, and builds have the same version.
var correction = lazyregexp.New(`^[-._+~]?(?i:r|p|pl|sp|rev|patch|post|hotfix|update|u)[-._]?0$|^z*[a-z]$`)

// like reports whether a version of a shape may follow the current one. A version with a
// patch level is followed by the next version, which has none yet.
func (r *reader) like(shape string) bool {
	return shape == r.shape || r.level && (shape == "" || letters().MatchString(shape) && letters().MatchString(r.shape))
}

// letters are patch levels of letters alone: 1.0.2za follows 1.0.2z.
var letters = lazyregexp.New(`^z*[a-z]$`)

// compare orders versions as catalog.CompareVersions does, except for an app with a patch
// level in its version: to semver, 1.2.3-2 comes before 1.2.3.
func (r *reader) compare(a, b string) int {
	if !r.level || coreOf(a) != coreOf(b) {
		return catalog.CompareVersions(a, b)
	}
	rank := func(version string) int {
		switch shape, prerelease := catalog.VersionShape(version); {
		case prerelease:
			return 0
		case shape == "":
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), catalog.CompareVersions(a, b))
}

// prerelease reports whether a version is a prerelease for this app. A suffix that all its
// versions have, such as -ce, does not count.
func (r *reader) prerelease(version string) bool {
	shape, known := catalog.VersionShape(version)
	return known || catalog.IsPrerelease(version) && shape != r.shape
}

// unlike ranks tags of one version: 0 for one that looks like the current tag.
func (r *reader) unlike(c reading) int {
	rank := 0
	if c.frame != r.current.frame {
		rank += 2
	}
	if len(catalog.VersionNumbers(c.version)) != r.numbers {
		rank++
	}
	return rank
}

// withoutV removes a v that belongs to the version: from "v" and "app-v", not from "dev".
func withoutV(prefix string) string {
	bare := strings.TrimRight(prefix, "vV")
	if len(prefix)-len(bare) != 1 || bare != "" && isAlphanumeric(bare[len(bare)-1]) {
		return prefix
	}
	return bare
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func startsWithDigit(text string) bool { return text != "" && '0' <= text[0] && text[0] <= '9' }

package bump

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
)

// Rule is an app's attribute `update`: which of upstream's versions it may take.
type Rule struct {
	// Tags is a regular expression (RE2) for a whole tag. Its first group is the version.
	// Without it, the current tag is the template: the same text around the version (with
	// or without a v), the same text after its numbers, and dots between these if it has
	// dots.
	Tags string `json:"tags"`

	// Transform replaces literal texts in a tag before anything else: { "_" = "."; }. At
	// each place the longest text wins, and replacements are not replaced again.
	Transform map[string]string `json:"transform"`

	// Prereleases allows what upstream marks as a prerelease, and versions that look like
	// one. Drafts are never allowed.
	Prereleases bool `json:"prereleases"`

	// Range is the largest step away from the current version:
	//
	//   - "patch": the first two numbers stay (5.4.0 to 5.4.9, not to 5.5.0);
	//   - "minor": the first number stays (5.4.0 to 5.9.0, not to 6.0.0);
	//   - "major": no limit, as without a range;
	//
	// or a semver constraint, such as ">=5.0, <6.0", "~5.4" or "^5 || ^6", in the syntax of
	// https://github.com/Masterminds/semver. The words go by position, as in Renovate's
	// update types, also below 1.0.0 and for versions that are not semver; use "^0.5" if
	// each 0.x breaks. For a constraint, 28.0.4.1 is 28.0.4, and a prerelease matches if its
	// final version matches too: 6.0.0-rc1 is not "<6.0.0".
	Range string `json:"range"`

	// Sequence is "minor" or "major" if upstream forbids skipping one. The app gets the
	// newest version of the next minor (or major) line that upstream has, or the newest of
	// the current line if there is no next. Patches may be skipped. A line that is wholly
	// ignored or out of range does not count; one that only waits for Delay does, and later
	// lines wait with it.
	Sequence string `json:"sequence"`

	// Hold is why the app stays at its version.
	Hold string `json:"hold"`

	// Follow is the app with the version to use, whatever the order of versions.
	Follow string `json:"follow"`

	// Delay is the minimum age of a release in days. It does not apply if the notes name a
	// CVE or a GitHub advisory.
	Delay int `json:"delay"`

	// Ignore lists versions or tags to skip; * and ? as in selections.
	Ignore []string `json:"ignore"`

	tags       *regexp.Regexp
	constraint *semver.Constraints
	replacer   *strings.Replacer
	ignored    *regexp.Regexp
}

// ParseRule reads the attribute update of an app's metadata. Errors name the wrong
// attribute.
func ParseRule(update json.RawMessage) (*Rule, error) {
	rule := &Rule{}
	if len(update) > 0 {
		// An unknown attribute might be meant to hold an app.
		decoder := json.NewDecoder(bytes.NewReader(update))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(rule); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("update: %w", err)
		}
	}
	if err := cmp.Or(rule.check(), rule.compileTags(), rule.compileTransform(), rule.compileRange(), rule.compileIgnore()); err != nil {
		return nil, err
	}
	return rule, nil
}

func (r *Rule) compileTags() (err error) {
	if r.Tags == "" {
		return nil
	}
	// On its own first: between the anchors, a)|(b would be valid.
	if _, err := regexp.Compile(r.Tags); err != nil {
		return fmt.Errorf("update.tags: %w", err)
	}
	if r.tags, err = regexp.Compile("^(?:" + r.Tags + ")$"); err != nil {
		return fmt.Errorf("update.tags: %w", err)
	}
	if r.tags.NumSubexp() == 0 {
		return fmt.Errorf(`update.tags: %q has no group for the version, expected one such as "^v([0-9.]+)$"`, r.Tags)
	}
	return nil
}

func (r *Rule) compileRange() (err error) {
	switch r.Range {
	case "", "major", "minor", "patch":
		return nil
	}
	if r.constraint, err = semver.NewConstraint(r.Range); err != nil {
		return fmt.Errorf(`update.range: %q, expected major, minor, patch or a constraint such as ">=5.0, <6.0"`, r.Range)
	}
	return nil
}

var ignorePattern = lazyregexp.New(`^[0-9A-Za-z._*?/@+-]+$`)

func (r *Rule) compileIgnore() error {
	var patterns []string
	for _, glob := range r.Ignore {
		if !ignorePattern().MatchString(glob) {
			return fmt.Errorf(`update.ignore: %q, expected a version, a tag or a glob such as "5.3.*"`, glob)
		}
		patterns = append(patterns, catalog.Regexp(glob))
	}
	if len(patterns) > 0 {
		r.ignored = regexp.MustCompile("^(?:" + strings.Join(patterns, "|") + ")$")
	}
	return nil
}

func (r *Rule) compileTransform() error {
	// A Replacer tries the texts in the order of its arguments.
	texts := slices.SortedFunc(maps.Keys(r.Transform), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var pairs []string
	for _, text := range texts {
		if text == "" {
			return errors.New("update.transform: an empty text to replace")
		}
		pairs = append(pairs, text, r.Transform[text])
	}
	r.replacer = strings.NewReplacer(pairs...)
	return nil
}

const maxDelay = 3650 // days

func (r *Rule) check() error {
	switch {
	case r.Delay < 0 || r.Delay > maxDelay:
		return fmt.Errorf("update.delay: %d, expected 0 to %d days", r.Delay, maxDelay)
	case r.Sequence != "" && r.Sequence != "minor" && r.Sequence != "major":
		return fmt.Errorf("update.sequence: %q, expected minor or major", r.Sequence)
	case r.Follow != "" && (r.Range != "" || r.Sequence != "" || r.Delay > 0):
		return fmt.Errorf("update.follow: the version is that of %s, remove range, sequence and delay", r.Follow)
	}
	return nil
}

// inRange reports whether a version is within Range of the current one.
func (r *Rule) inRange(version, current string, prerelease bool) bool {
	switch r.Range {
	case "", "major":
		return true
	case "minor":
		return line(version, 1) == line(current, 1)
	case "patch":
		return line(version, 2) == line(current, 2)
	}
	final, err := semver.NewVersion(line(version, 3))
	if err != nil || !prerelease {
		return err == nil && r.constraint.Check(final)
	}
	// 3.0.0.beta2 becomes 3.0.0-beta2.
	suffix := strings.TrimLeft(version, "v0123456789.-_")
	exact, err := semver.NewVersion(line(version, 3) + "-" + strings.ReplaceAll(suffix, "_", "."))
	constraint := *r.constraint
	constraint.IncludePrerelease = true
	return err == nil && constraint.Check(exact) && constraint.Check(final)
}

// line returns the first n numbers of a version, with dots: 5.4 of 5.4.1.
func line(version string, n int) string {
	numbers := append(catalog.VersionNumbers(version), slices.Repeat([]string{"0"}, n)...)
	return strings.Join(numbers[:n], ".")
}

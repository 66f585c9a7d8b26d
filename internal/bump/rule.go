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
)

// Rule is an app's attribute `update`: which of upstream's versions are for it.
type Rule struct {
	// Tags is a regular expression (RE2) for the whole of a tag; its first group
	// is the version. Without it the current tag's shape is the template: the
	// same text around the version (a v more or less is tolerated), the same
	// text behind its numbers, and dots between these where it has dots.
	Tags string `json:"tags"`

	// Transform replaces literal texts in a tag before anything is read from it:
	// { "_" = "."; }. At each place the longest text counts, and what was put in
	// is not looked at again.
	Transform map[string]string `json:"transform"`

	// Prereleases lets in what upstream flags as a prerelease and what its version
	// says to be one. Drafts stay out.
	Prereleases bool `json:"prereleases"`

	// Range is the largest step away from the current version:
	//
	//   - "patch": the first two numbers stay (5.4.0 to 5.4.9, not to 5.5.0);
	//   - "minor": the first number stays (5.4.0 to 5.9.0, not to 6.0.0);
	//   - "major": no limit, as without a range;
	//
	// or a semver constraint, such as ">=5.0, <6.0", "~5.4" or "^5 || ^6", in the
	// syntax of https://github.com/Masterminds/semver. The words go by position,
	// as in Renovate's update types, also below 1.0.0 and for versions that are
	// no semver: "^0.5" is what says that each 0.x breaks. To a constraint 28.0.4.1
	// is 28.0.4, and a prerelease is inside where its final version is as well:
	// 6.0.0-rc1 is not "<6.0.0".
	Range string `json:"range"`

	// Sequence is "minor" or "major" where upstream forbids to skip one: the
	// newest version of the next minor (or major) line that upstream has, the
	// newest of the current line where there is no next. Patches may be skipped.
	// A line that is wholly ignored or out of range does not count; one that only
	// waits for Delay does, so that what follows waits too.
	Sequence string `json:"sequence"`

	// Hold is why the app stays where it is.
	Hold string `json:"hold"`

	// Follow is the app whose version this one takes, whatever its own order.
	Follow string `json:"follow"`

	// Delay is the number of days that a release must have aged. One whose notes
	// name a CVE or a GitHub advisory need not.
	Delay int `json:"delay"`

	// Ignore lists versions or tags that are not taken; * and ? as in selections.
	Ignore []string `json:"ignore"`

	tags       *regexp.Regexp
	constraint *semver.Constraints
	replacer   *strings.Replacer
	ignored    *regexp.Regexp
}

// ParseRule reads the update attribute of an app's metadata. Errors name the
// attribute that is wrong.
func ParseRule(update json.RawMessage) (*Rule, error) {
	rule := &Rule{}
	if len(update) > 0 {
		// An attribute that is not understood might be one that holds an app.
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
	// On its own first: between the anchors a)|(b would become valid.
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

var ignorePattern = regexp.MustCompile(`^[0-9A-Za-z._*?/@+-]+$`)

func (r *Rule) compileIgnore() error {
	var patterns []string
	for _, glob := range r.Ignore {
		if !ignorePattern.MatchString(glob) {
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

// inRange tells whether a version is within Range, seen from the current one.
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
	// 3.0.0.beta2 is 3.0.0-beta2 here.
	suffix := strings.TrimLeft(version, "v0123456789.-_")
	exact, err := semver.NewVersion(line(version, 3) + "-" + strings.ReplaceAll(suffix, "_", "."))
	constraint := *r.constraint
	constraint.IncludePrerelease = true
	return err == nil && constraint.Check(exact) && constraint.Check(final)
}

// line is the first n numbers of a version, with dots: 5.4 of 5.4.1.
func line(version string, n int) string {
	numbers := append(catalog.VersionNumbers(version), slices.Repeat([]string{"0"}, n)...)
	return strings.Join(numbers[:n], ".")
}

// Package bump updates apps: find upstream's versions, decide, edit, hash,
// verify, commit, propose.
package bump

import (
	"fmt"
	"slices"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/text"
)

// Input is everything that a decision depends on.
type Input struct {
	Rule           *Rule // from ParseRule
	Version        string
	PackageVersion int
	Tag            string // current tag, or version of a module; "" for an app that is pinned in another way
	Commit         string // the commit recorded for Tag, "" if there is none
	Followed       string // version of the app in Rule.Follow, after its own update
	Tags           []Tag  // in any order

	// Release returns what is known of a tag's release, nil for nothing. It is called for
	// few tags, newest first, until one can be chosen. It may be nil.
	Release func(tag string) (*Release, error)

	Now time.Time
}

// Tag is a tag of upstream, or a version of a module.
type Tag struct {
	Name   string
	Commit string // peeled; "" if unknown
}

// Release is what a forge or a module proxy knows of a tag.
type Release struct {
	Draft      bool
	Prerelease bool
	Date       time.Time // of publishing; zero if unknown
	Notes      string
	Unfit      string // why not to use it, such as "retracted: …"; "" if nothing is wrong
	Needs      string // what this machine lacks for it, such as "needs go 1.27"; "" for nothing
}

// Kind is the action for an app.
type Kind string

const (
	None       Kind = "none"
	NewVersion Kind = "version" // another version, package version 1
	Moved      Kind = "moved"   // the same version from another commit; package version +1
	Held       Kind = "held"    // there is a newer version, which the app may not take
)

// Decision is the action for an app, and the reason.
type Decision struct {
	Kind           Kind   `json:"kind"`
	Version        string `json:"version"`          // the current one, unless kind is version
	PackageVersion int    `json:"packageVersion"`   // the one for version
	Tag            string `json:"tag,omitempty"`    // to use
	Commit         string `json:"commit,omitempty"` // of the tag; "" if unknown
	Newest         string `json:"newest"`           // highest version of upstream, whether or not the rule allows it
	Reason         string `json:"reason,omitempty"` // why there is no new version, or what moved

	HeldBack string `json:"heldBack,omitempty"` // the highest version above it that the app may not take, and why: "6.0.0 outside of update.range minor"

	Warnings   []string    `json:"warnings,omitempty"`
	Candidates []Candidate `json:"candidates,omitempty"` // newest first, then those without a version

	// Release describes Tag's release; nil if nothing is known about it.
	Release *Release `json:"-"`
}

// Decide decides what to do with an app. It is pure, apart from Input.Release. A new
// version is above the current one in the order of catalog.CompareVersions. It and its tag
// have no characters with a meaning in a Nix file. Dates matter for update.delay only,
// never for the order.
func Decide(in Input) (*Decision, error) {
	reader, err := newReader(in.Rule, in.Version, in.Tag)
	switch {
	case err != nil && in.Rule.Hold != "": // a tag that is held need not be readable
		return &Decision{Kind: Held, Version: in.Version, PackageVersion: in.PackageVersion,
			Tag: in.Tag, Commit: in.Commit, Newest: in.Version, Reason: in.Rule.Hold}, nil
	case err != nil:
		return nil, err
	case in.Rule.Hold == "" && in.Rule.Follow != "" && in.Followed == "":
		return nil, fmt.Errorf("update.follow: the version of %s is not known", in.Rule.Follow)
	}
	d := &decider{Input: in, reader: reader}
	d.readTags()
	chosen, err := d.choose()
	if err != nil {
		return nil, err
	}
	return d.decision(chosen), nil
}

func (d *decider) decision(chosen *group) *Decision {
	decision := &Decision{
		Kind:           None,
		Version:        d.Version,
		PackageVersion: d.PackageVersion,
		Tag:            d.Tag,
		Commit:         d.Commit,
		Newest:         d.Version,
	}
	moved := d.checkCurrent()
	switch {
	case d.Rule.Hold != "":
		decision.Kind, decision.Reason = Held, d.Rule.Hold
	case chosen != nil:
		first := chosen.tags[0]
		decision.Kind, decision.Version, decision.PackageVersion = NewVersion, first.version, 1
		decision.Tag, decision.Commit, decision.Release = first.tag.Name, first.tag.Commit, chosen.release
		d.compareCommits(chosen)
	case moved != nil:
		decision.Kind, decision.PackageVersion, decision.Commit = Moved, d.PackageVersion+1, moved.tag.Commit
		decision.Reason = d.warnings[0]
	default:
		decision.Reason = d.reasonForNone()
	}
	if d.Rule.Hold == "" {
		decision.HeldBack = d.heldBack(decision.Version)
	}
	if decision.Kind == None && decision.HeldBack != "" {
		decision.Kind, decision.Reason = Held, decision.HeldBack
	}
	if i := slices.IndexFunc(d.candidates, func(c *candidate) bool { return c.offered }); i >= 0 {
		decision.Newest = d.candidates[i].version
	}
	for _, c := range d.candidates {
		decision.Candidates = append(decision.Candidates, c.Candidate)
	}
	decision.Warnings = d.warnings
	return decision
}

// checkCurrent looks for the current tag among upstream's, and returns it if its commit
// changed. It adds a warning for each anomaly, a moved tag first.
func (d *decider) checkCurrent() (moved *candidate) {
	if d.Tag == "" {
		return nil
	}
	at := slices.IndexFunc(d.candidates, func(c *candidate) bool { return c.tag.Name == d.Tag })
	twin := slices.IndexFunc(d.candidates, func(c *candidate) bool {
		return c.version != "" && catalog.CompareVersions(c.version, d.Version) == 0
	})
	switch {
	case at >= 0:
		if now := d.candidates[at]; now.tag.Commit != "" && d.Commit != "" && now.tag.Commit != d.Commit {
			d.warnf("upstream moved the tag %s from commit %s to %s", d.Tag, text.Name(d.Commit), now.Commit)
			moved = now
		}
	case twin >= 0:
		d.warnf("upstream no longer has the current tag %s, only %s", d.Tag, d.candidates[twin].Tag)
	default:
		d.warnf("upstream no longer has a tag of the current version %s", d.Version)
	}
	switch read := d.reader.current; {
	case read.version == "":
		d.warnf("the current tag %s: %s", d.Tag, read.problem)
	case read.version != d.Version:
		d.warnf("the current tag %s reads as version %s, the app's is %s", d.Tag, read.version, d.Version)
	}
	return moved
}

// compareCommits warns if the tags of one version have different commits.
func (d *decider) compareCommits(g *group) {
	first := g.tags[0].tag
	for _, other := range g.tags[1:] {
		if first.Commit != "" && other.tag.Commit != "" && first.Commit != other.tag.Commit {
			d.warnf("%s and %s have the same version, but different commits", first.Name, other.tag.Name)
		}
	}
}

// reasonForNone returns why the app stays at its version.
func (d *decider) reasonForNone() string {
	if d.Rule.Follow != "" {
		return d.whyNotFollowed()
	}
	return "nothing newer"
}

func (d *decider) whyNotFollowed() string {
	at := slices.IndexFunc(d.candidates, func(c *candidate) bool {
		return c.version != "" && catalog.CompareVersions(c.version, d.Followed) == 0
	})
	switch order := catalog.CompareVersions(d.Followed, d.Version); {
	case order < 0:
		return fmt.Sprintf("%s, the version of %s, is older", d.Followed, d.Rule.Follow)
	case order == 0:
		return "at the version of " + d.Rule.Follow
	case at < 0:
		return fmt.Sprintf("upstream has no %s, the version of %s", d.Followed, d.Rule.Follow)
	}
	return d.candidates[at].version + ": " + d.candidates[at].Verdict
}

func (d *decider) warnf(format string, args ...any) {
	d.warnings = append(d.warnings, fmt.Sprintf(format, args...))
}

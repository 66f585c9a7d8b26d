package bump

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

type decider struct {
	Input
	reader     *reader
	candidates []*candidate // newest first, then those without a version
	groups     []*group     // versions allowed as far as their names show, newest first
	warnings   []string
}

// candidate is a tag on its way to a verdict.
type candidate struct {
	Candidate
	reading
	tag     Tag
	offered bool // a version above the current one that upstream released for everybody
	held    bool // such a version that the rule, or this machine, does not allow
}

// group has the tags of one version. The first is the one most like the current tag.
type group struct {
	tags    []*candidate
	release *Release
	waits   bool // allowed, but not yet
	held    bool
}

func (g *group) version() string { return g.tags[0].version }

func (g *group) rule(verdict string) {
	for i, c := range g.tags {
		c.Verdict, c.held = verdict, g.held
		if i > 0 {
			c.Verdict = "same version as " + text.Name(g.tags[0].tag.Name)
		}
	}
}

// readTags reads and sorts the tags, and groups the allowed ones.
func (d *decider) readTags() {
	for _, tag := range d.Tags {
		c := &candidate{reading: d.reader.read(tag.Name), tag: tag}
		c.Candidate = Candidate{Tag: text.Name(tag.Name), Version: c.version, Commit: text.Name(tag.Commit)}
		d.candidates = append(d.candidates, c)
	}
	slices.SortFunc(d.candidates, func(a, b *candidate) int {
		if a.version == "" || b.version == "" {
			return cmp.Or(cmp.Compare(b.version, a.version), cmp.Compare(a.tag.Name, b.tag.Name))
		}
		return cmp.Or(d.reader.compare(b.version, a.version),
			cmp.Compare(d.reader.unlike(a.reading), d.reader.unlike(b.reading)),
			cmp.Compare(a.tag.Name, b.tag.Name))
	})
	for _, c := range d.candidates {
		if c.Verdict = d.judgeName(c); c.Verdict != "" {
			continue
		}
		last := len(d.groups) - 1
		if last >= 0 && catalog.CompareVersions(d.groups[last].version(), c.version) == 0 {
			d.groups[last].tags = append(d.groups[last].tags, c)
		} else {
			d.groups = append(d.groups, &group{tags: []*candidate{c}})
		}
	}
}

// judgeName returns the verdict on a candidate by its name alone, or "" if it is allowed.
func (d *decider) judgeName(c *candidate) string {
	if c.version == "" {
		return c.problem
	}
	rule := d.Rule
	order := d.reader.compare(c.version, d.Version)
	prerelease := d.reader.prerelease(c.version)
	ignored := rule.ignored != nil && (rule.ignored.MatchString(c.version) || rule.ignored.MatchString(c.tag.Name))
	released := order > 0 && (!prerelease || rule.Prereleases)
	c.offered = released && !ignored
	switch {
	case order == 0 && c.tag.Name == d.Tag:
		return "current"
	case order == 0:
		return "current version"
	case order < 0:
		return "older"
	case ignored:
		c.held = released
		return "ignored by update.ignore"
	case rule.Follow != "" && catalog.CompareVersions(c.version, d.Followed) == 0:
		return ""
	case rule.Follow != "":
		return fmt.Sprintf("not %s, the version of %s", d.Followed, rule.Follow)
	case prerelease && !rule.Prereleases:
		return "prerelease"
	case !rule.inRange(c.version, d.Version, prerelease):
		c.held = true
		return "outside of update.range " + rule.Range
	}
	return ""
}

// choose returns the group to use, nil for none. Afterwards every group has a verdict.
func (d *decider) choose() (*group, error) {
	switch {
	case d.Rule.Hold != "":
		for _, g := range d.groups {
			g.rule("held by update.hold")
		}
		return nil, nil
	case d.Rule.Sequence != "":
		return d.nextInSequence()
	}
	return d.newest(d.groups)
}

// newest returns the first of the allowed groups.
func (d *decider) newest(groups []*group) (*group, error) {
	for i, g := range groups {
		verdict, err := d.judgeRelease(g)
		if err != nil {
			return nil, err
		}
		if verdict != "" {
			g.rule(verdict)
			continue
		}
		g.rule("chosen")
		for _, older := range groups[i+1:] {
			older.rule("older than " + g.version())
		}
		return g, nil
	}
	return nil, nil
}

// nextInSequence returns the newest version of the lowest line above the current one, else
// of the current line.
func (d *decider) nextInSequence() (*group, error) {
	numbers := map[string]int{"major": 1, "minor": 2}[d.Rule.Sequence]
	lineOf := func(g *group) string { return line(g.version(), numbers) }
	var current []*group
	var lines [][]*group
	for i, g := range d.groups {
		switch {
		case lineOf(g) == line(d.Version, numbers):
			current = append(current, g)
		case i > 0 && lineOf(g) == lineOf(d.groups[i-1]):
			lines[len(lines)-1] = append(lines[len(lines)-1], g)
		default:
			lines = append(lines, []*group{g})
		}
	}
	slices.Reverse(lines)
	for i, next := range lines {
		chosen, err := d.newest(next)
		if err != nil {
			return nil, err
		}
		if chosen == nil && !slices.ContainsFunc(next, func(g *group) bool { return g.waits }) {
			continue // it has no release
		}
		for _, later := range slices.Concat(lines[i+1:]...) {
			later.held = true
			later.rule("after " + lineOf(next[0]) + " (update.sequence)")
		}
		if chosen != nil {
			for _, older := range current {
				older.rule("older than " + chosen.version())
			}
			return chosen, nil
		}
		break
	}
	return d.newest(current)
}

// advisory matches the name of a vulnerability in release notes.
var advisory = lazyregexp.New(`(?i)\bCVE-[0-9]{4}-[0-9]{4,}\b|\bGHSA(-[0-9a-z]{4}){3}\b`)

// judgeRelease returns the verdict on a group by its release, or "" if it is the one to
// use.
func (d *decider) judgeRelease(g *group) (string, error) {
	if err := d.askRelease(g); err != nil {
		return "", err
	}
	release := cmp.Or(g.release, &Release{})
	for _, c := range g.tags {
		c.Date = day(release.Date)
	}
	switch {
	case release.Draft:
		return g.unfit("draft"), nil
	case release.Unfit != "":
		return g.unfit(text.Name(release.Unfit)), nil
	case release.Needs != "":
		g.held = true
		return text.Name(release.Needs), nil
	case d.Rule.Follow != "":
		return "", nil
	case release.Prerelease && !d.Rule.Prereleases:
		return g.unfit("prerelease, by its release"), nil
	case d.Rule.Delay == 0 || advisory().MatchString(release.Notes):
		return "", nil
	case release.Date.IsZero():
		g.waits, g.held = true, true
		return "update.delay needs its date, which is unknown", nil
	}
	if ready := release.Date.AddDate(0, 0, d.Rule.Delay); d.Now.Before(ready) {
		g.waits, g.held = true, true
		return "waits until " + day(ready) + " (update.delay)", nil
	}
	return "", nil
}

// unfit marks that upstream does not offer the version.
func (g *group) unfit(verdict string) string {
	for _, c := range g.tags {
		c.offered = false
	}
	return verdict
}

// askRelease finds the release of the group's first tag, or of another tag with the same
// commit: upstream may tag 2.3.3 and release v2.3.3.
func (d *decider) askRelease(g *group) error {
	if d.Release == nil {
		return nil
	}
	for _, c := range g.tags {
		if c.tag.Commit != g.tags[0].tag.Commit {
			continue
		}
		release, err := d.Release(c.tag.Name)
		if err != nil {
			return fmt.Errorf("release of %s: %w", c.tag.Name, err)
		}
		if release != nil {
			g.release = release
			return nil
		}
	}
	return nil
}

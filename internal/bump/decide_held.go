package bump

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// heldBack returns the highest version above the given one that the app may not take, and
// the reason: "6.0.0 outside of update.range minor". It returns "" if there is no higher
// version.
func (d *decider) heldBack(above string) string {
	if d.Rule.Follow != "" { // above the followed version, that app decides
		if d.reader.compare(d.Followed, above) > 0 {
			return d.whyNotFollowed()
		}
		return ""
	}
	top, held := above, ""
	for _, c := range d.candidates {
		if c.version == "" || d.reader.compare(c.version, above) <= 0 {
			continue
		}
		if c.held && held == "" {
			held = c.version + " " + c.Verdict
		}
		if (c.held || c.offered) && d.reader.compare(c.version, top) > 0 {
			top = c.version
		}
	}
	if tag, why := d.leftOut(top); tag != "" {
		return text.Name(tag) + " " + why
	}
	if held == "" && above == d.Version {
		return d.laterTag()
	}
	return held
}

// laterTag returns a tag of the current version with a higher patch level, such as
// v1.2.3+ds2 after v1.2.3+ds1, which the version does not show.
func (d *decider) laterTag() string {
	numbers := func(frame string) string { return strings.Join(digitRuns().FindAllString(frame, -1), ".") }
	own, later := d.reader.current.frame, ""
	for _, c := range d.candidates {
		if c.version == "" || d.reader.compare(c.version, d.Version) != 0 || d.Rule.ignored != nil && d.Rule.ignored.MatchString(c.tag.Name) ||
			digitRuns().ReplaceAllString(c.frame, "0") != digitRuns().ReplaceAllString(own, "0") || catalog.CompareVersions(numbers(c.frame), numbers(own)) <= 0 {
			continue
		}
		own, later = c.frame, c.tag.Name
	}
	if later == "" {
		return ""
	}
	return fmt.Sprintf("%s is a later tag of the same version than %s: set source.tag to it, and increase packageVersion", text.Name(later), text.Name(d.Tag))
}

// looseReading has the parts of a tag that the rule does not read.
type looseReading struct {
	tag      string
	prefix   string // the text before the version, without its v
	core     string // numbers, with dots
	usable   bool   // of a released version: no prerelease, date or other variant
	corrects bool   // comes after the version of its core
}

// leftOut finds the highest version above all that the rule reads: one with our prefix and
// another suffix or number of parts, or with the prefix that upstream changed to. Tags of
// other things in the repository (charts, packages) have had versions of their own from the
// start; they do not count.
func (d *decider) leftOut(above string) (tag, why string) {
	prefixes := map[string][]looseReading{}
	for _, c := range d.candidates {
		if c.version == "" && !strings.HasPrefix(c.problem, "refused") || strings.HasPrefix(c.problem, unfitVersion) {
			if read, ok := d.loose(c.tag.Name); ok {
				prefixes[read.prefix] = append(prefixes[read.prefix], read)
			}
		}
	}
	highest, own := coreOf(above), d.ownPrefix()
	for prefix, readings := range prefixes {
		reason := fmt.Sprintf("has another shape than %s: set update.tags", text.Name(d.reader.example))
		if prefix != own {
			if !d.prefixChanged(own, prefix, coreOf(above), readings) {
				continue
			}
			reason = fmt.Sprintf("has another prefix than %s: set update.tags", text.Name(d.reader.example))
		}
		for _, read := range readings {
			if read.usable && nextOf(coreOf(above), read.core) && catalog.CompareVersions(read.core, highest) > 0 {
				highest, tag, why = read.core, read.tag, reason
			}
		}
		if tag != "" || prefix != own || d.reader.level {
			continue
		}
		latest := ""
		for _, read := range readings {
			if read.corrects && catalog.CompareVersions(read.core, coreOf(above)) == 0 && (latest == "" || catalog.CompareVersions(read.tag, latest) > 0) {
				latest = read.tag
			}
		}
		if latest != "" {
			tag, why = latest, reason
		}
	}
	return tag, why
}

// ownPrefix returns the text before the version in the current tag, without its v.
func (d *decider) ownPrefix() string {
	before, _, _ := strings.Cut(d.reader.current.frame, "\x00")
	return withoutV(before)
}

// looseForm matches a prefix, numbers, and the rest.
var looseForm = lazyregexp.New(`^([^0-9]*?)[vV]?([0-9]+(?:\.[0-9]+)*)([^0-9].*)?$`)

// finalWord matches a release for everybody.
var finalWord = lazyregexp.New(`(?i)^[-._+]?(final|release|stable|ga|lts)$`)

func (d *decider) loose(tag string) (looseReading, bool) {
	text, own := d.Rule.replacer.Replace(tag), d.ownPrefix()
	rest, isOwn := strings.CutPrefix(text, own)
	if !isOwn {
		rest = text
	}
	found := looseForm().FindStringSubmatch(rest)
	if found == nil {
		return looseReading{}, false
	}
	prefix, core, suffix := found[1], found[2], found[3]
	if isOwn {
		prefix = own + prefix
	}
	shape := digitRuns().ReplaceAllString(suffix, "0")
	form := suffix == "" || shape == d.reader.shape || shape == digitRuns().ReplaceAllString(d.reader.suffix, "0") ||
		patchLevel().MatchString(shape) || finalWord().MatchString(suffix)
	ignored := d.Rule.ignored != nil && (d.Rule.ignored.MatchString(core) || d.Rule.ignored.MatchString(tag))
	return looseReading{tag, prefix, core, form && !ignored, correction().MatchString(shape) && !ignored}, true
}

var digitRuns = lazyregexp.New(`[0-9]+`)

func coreOf(version string) string { return strings.Join(catalog.VersionNumbers(version), ".") }

// nextOf reports whether a core can follow another: 6 follows 5.4.1, 2026 (a year) follows
// 5.4.1, a date follows a date; a date or a build number does not follow 5.4.1.
func nextOf(core, next string) bool {
	if strings.Contains(next, ".") {
		return true
	}
	now, _, more := strings.Cut(core, ".")
	if !more && len(now) == len(next) && len(next) == len("20060102") {
		return true
	}
	from, _ := strconv.ParseUint(now, 10, 64)
	to, err := strconv.ParseUint(next, 10, 64)
	return err == nil && (to <= from+1 || len(next) == 4 && strings.HasPrefix(next, "20"))
}

// otherThings matches words in the tags of other things in the repository, such as charts.
var otherThings = lazyregexp.New(`(?i)(chart|helm|sdk|client|api|cli|docs?|operator|plugin|package|pkg|lib|module|image|test|demo|example|nightly|latest|dev|snapshot|preprod|staging|backup|old|archive)`)

// prefixChanged reports whether upstream changed from our prefix to another one: its versions
// begin where ours end or, without a prefix, cross ours and go on.
func (d *decider) prefixChanged(own, prefix, above string, readings []looseReading) bool {
	if strings.ContainsAny(own, "@/") || strings.Contains(prefix, "@") || otherThings().MatchString(prefix) ||
		strings.Contains(prefix, "/") && !slices.Contains([]string{"release/", "releases/", "version/"}, prefix) {
		return false
	}
	first, lowest := "", d.lowest() // theirs above ours; ours
	for _, read := range readings {
		switch {
		case catalog.CompareVersions(read.core, above) > 0:
			if first == "" || catalog.CompareVersions(read.core, first) < 0 {
				first = read.core
			}
		case prefix != "" || catalog.CompareVersions(read.core, lowest) >= 0:
			return false
		}
	}
	major, _, _ := strings.Cut(first, ".")
	return first != "" && nextOf(above, major)
}

// lowest returns the core of the lowest version that the rule reads.
func (d *decider) lowest() string {
	lowest := coreOf(d.Version)
	for _, c := range d.candidates {
		if core := coreOf(c.version); c.version != "" && catalog.CompareVersions(core, lowest) < 0 {
			lowest = core
		}
	}
	return lowest
}

package bump

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/upstream"
)

// Choice is a version of upstream to begin with.
type Choice struct {
	Version string
	Tag     string
	Commit  string // "" unknown
	Date    string // of the release, YYYY-MM-DD; "" unknown
}

// versionTag matches tags of releases: numbers, after anything that ends without one.
var versionTag = lazyregexp.New(`\A([0-9A-Za-z@._/+-]*?)[vV]?([0-9]+(?:\.[0-9]+)+)\z`)

// Newest chooses the version that bump would update to, by the default rule, for an app that
// had the lowest one so far. It returns nil if upstream has no tag of a release.
func Newest(ctx context.Context, finder upstream.Finder, now time.Time) (*Choice, error) {
	tags, err := finder.Tags(ctx)
	if err != nil {
		return nil, err
	}
	rule, err := ParseRule(nil)
	if err != nil {
		return nil, err
	}
	in := Input{Rule: rule, Now: now, Release: releases(ctx, finder)}
	for _, tag := range tags.All {
		in.Tags = append(in.Tags, Tag{Name: tag.Name, Commit: tag.Commit})
	}
	first := lowest(tags.All)
	if first == nil {
		return nil, nil
	}
	in.Version, in.Tag, in.Commit = first.Version, first.Tag, first.Commit
	decision, err := Decide(in)
	if err != nil {
		return nil, err
	}
	choice := &Choice{Version: decision.Version, Tag: decision.Tag, Commit: decision.Commit}
	release := decision.Release
	if release == nil && in.Release != nil {
		if release, err = in.Release(choice.Tag); err != nil {
			return nil, err
		}
	}
	if release != nil {
		choice.Date = day(release.Date)
	}
	return choice, nil
}

// lowest is the tag with the lowest version, of those with the most usual form: v1.2.3, not
// client/v1.2.3.
func lowest(tags []upstream.Tag) *Choice {
	forms := map[string][]*Choice{}
	for _, tag := range tags {
		if m := versionTag().FindStringSubmatch(tag.Name); m != nil {
			forms[m[1]] = append(forms[m[1]], &Choice{Version: m[2], Tag: tag.Name, Commit: tag.Commit})
		}
	}
	usual, most := "", 0
	for form, all := range forms {
		if len(all) > most || len(all) == most && cmp.Or(len(form)-len(usual), strings.Compare(form, usual)) < 0 {
			usual, most = form, len(all)
		}
	}
	if most == 0 {
		return nil
	}
	return slices.MinFunc(forms[usual], func(a, b *Choice) int { return catalog.CompareVersions(a.Version, b.Version) })
}

// ChoiceOf is the choice of one tag.
func ChoiceOf(ctx context.Context, finder upstream.Finder, name string) (*Choice, error) {
	tags, err := finder.Tags(ctx)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(tags.All, func(tag upstream.Tag) bool { return tag.Name == name })
	if at < 0 {
		return nil, fmt.Errorf("upstream has no tag %s", name)
	}
	choice := &Choice{Version: versionIn(name), Tag: name, Commit: tags.All[at].Commit}
	release, err := finder.Release(ctx, name)
	if err == nil && release != nil {
		choice.Date = day(release.Date)
	}
	return choice, err
}

// numbered matches a tag with a version that begins the tag, or follows a separator. Anything
// may end it.
var numbered = lazyregexp.New(`\A(?:[0-9A-Za-z@._/+-]*?[@._/+-])??[vV]?([0-9][0-9A-Za-z._-]*)\z`)

// versionIn returns the version in a tag, else the tag.
func versionIn(tag string) string {
	if m := versionTag().FindStringSubmatch(tag); m != nil {
		return m[2]
	}
	if m := numbered().FindStringSubmatch(tag); m != nil {
		return m[1]
	}
	return tag
}

// releases asks a finder for the release of a tag.
func releases(ctx context.Context, finder upstream.Finder) func(tag string) (*Release, error) {
	return func(tag string) (*Release, error) {
		release, err := finder.Release(ctx, tag)
		if err != nil || release == nil {
			return nil, err
		}
		return &Release{
			Draft: release.Draft, Prerelease: release.Prerelease, Date: release.Date,
			Notes: release.Notes, Unfit: release.Reason, Needs: release.Needs,
		}, nil
	}
}

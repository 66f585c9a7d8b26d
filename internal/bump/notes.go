package bump

import (
	"context"
	"strings"

	"github.com/libresh/libre/internal/bump/markdown"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/upstream"
)

// maxNotedVersions is for how many versions libre reads notes.
const maxNotedVersions = 20

// notes are those of the versions after the current one, up to the new one.
func (r *Result) notes(ctx context.Context) (string, error) {
	if r.Decision == nil || r.finder == nil || r.From.Version == r.To.Version {
		return "", nil
	}
	notes, err := notesBetween(ctx, r.finder, r.Decision.Candidates, r.From.Version, r.To.Version)
	return markdown.Notes(notes, r.Links.Release), err
}

// Notes reads upstream's notes of the versions of an app after one, up to another, newest
// first. Neither need be the app's own. Versions are read from tags as for the app, whatever
// its rule takes. The notes are outside text.
func Notes(ctx context.Context, client *upstream.Client, app catalog.App, after, upTo string) ([]markdown.Note, error) {
	rule, err := ParseRule(app.Update)
	if err != nil {
		return nil, err
	}
	reader, err := newReader(rule, app.Version, app.Source.Revision)
	if err != nil {
		return nil, err
	}
	finder, err := client.Open(sourceOf(app.Source))
	if err != nil {
		return nil, err
	}
	tags, err := finder.Tags(ctx)
	if err != nil {
		return nil, err
	}
	d := &decider{Input: Input{Rule: rule, Version: app.Version, Tag: app.Source.Revision}, reader: reader}
	for _, tag := range tags.All {
		d.Tags = append(d.Tags, Tag{Name: tag.Name, Commit: tag.Commit})
	}
	d.readTags()
	var candidates []Candidate
	for _, c := range d.candidates {
		candidates = append(candidates, c.Candidate)
	}
	return notesBetween(ctx, finder, candidates, after, upTo)
}

func notesBetween(ctx context.Context, finder upstream.Finder, candidates []Candidate, after, upTo string) ([]markdown.Note, error) {
	var notes []markdown.Note
	for _, candidate := range candidates {
		between := candidate.Version != "" && catalog.CompareVersions(candidate.Version, after) > 0 &&
			catalog.CompareVersions(candidate.Version, upTo) <= 0
		if !between || len(notes) == maxNotedVersions {
			continue
		}
		release, err := finder.Release(ctx, candidate.Tag)
		if err != nil {
			return nil, err
		}
		if release != nil && !release.Draft && strings.TrimSpace(release.Notes) != "" {
			notes = append(notes, markdown.Note{Version: candidate.Version, Page: release.Page, Text: release.Notes})
		}
	}
	return notes, nil
}

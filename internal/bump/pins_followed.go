package bump

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/bump/review"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/nixedit"
)

// followBases updates an app's pins in the copy to the tags in the new source's
// Containerfiles. The copy has that source already. Keys of moved tags are renamed, and get
// the digest of the new tag in its registry. before are the images before the update. Moves
// go into the report; what cannot be edited, or is unknown, is a warning.
func (b *Bumper) followBases(ctx context.Context, c *checkout, result *Result, name string, before []*catalog.Spec) (edits, error) {
	evaluation, err := b.evaluate(ctx, c.copy, nix.Request{Patterns: onlyApp(name), AllSystems: true})
	if err != nil || evaluation.Failures[name] != nil {
		return nil, err // the app's own errors are found by the final check
	}
	app := evaluation.Apps[name]
	warn := func(format string, args ...any) {
		result.Warnings = append(result.Warnings, fmt.Sprintf(format, args...))
	}
	used, err := b.readPins(ctx, name, evaluation.Images, warn)
	if err != nil {
		return nil, err
	}
	was := &usedPins{}
	if slices.ContainsFunc(pinsOf(app), pin.isOpen) {
		if was, err = b.readPins(ctx, name, before, func(format string, args ...any) { warn("before: "+format, args...) }); err != nil {
			return nil, err
		}
	}
	follows := func(p pin) bool {
		old, now := was.names(p), used.names(p)
		return p.isOpen() && len(old) > 0 && len(now) > 0 && !slices.Equal(slices.Sorted(slices.Values(old)), slices.Sorted(slices.Values(now)))
	}
	apps := map[string]catalog.App{name: app}
	pins := existingPins(apps, used, follows, warn)
	tell := func(p pin, text string) {
		result.Findings = append(result.Findings, review.Finding{Kind: review.ContainerfileFinding, Path: app.Components[p.component].Containerfile, Text: text})
	}
	for _, p := range pinsOf(app) {
		if !isDigest(p.is) && follows(p) {
			tell(p, fmt.Sprintf("%s is %s, was %s: replaced by the catalogue's own %s, by %s", p.base, names(used, p), names(was, p), p.is, p.attribute()))
		}
	}
	digests, err := b.baseDigests(ctx, name, pins)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		for _, p := range pins {
			warn("%s is %s now; its digest is unknown, libre bump --inputs adds it later: %v", p, p.nowOf(used), err)
		}
		return nil, nil
	}
	written, err := c.writePins(apps, pins, digests)
	if err != nil {
		return nil, err
	}
	for _, refused := range written.refused {
		warn("%s", refused)
	}
	for _, p := range pins {
		if _, is := written.planned[name][p.attribute()]; is {
			tell(p, p.rewritten(used, digests))
		}
	}
	return written.planned[name], nil
}

// rewritten describes the new pin.
func (p pin) rewritten(used *usedPins, digests map[string]nixedit.Value) string {
	text := fmt.Sprintf("%s is %s now: its pin %s is rewritten", p.base, p.nowOf(used), p.attribute())
	if p.image == "" {
		return text + ", the catalogue's own " + p.is + " replaces it"
	}
	return text + ", to " + digests[p.image].String()
}

// nowOf is what the Containerfile has if a pin has another tag.
func (p pin) nowOf(used *usedPins) string {
	if p.to != "" {
		return p.to
	}
	return names(used, p)
}

func names(used *usedPins, p pin) string { return strings.Join(used.names(p), " and ") }

// isOpen reports whether a pin's key applies to any tag.
func (p pin) isOpen() bool { return !containerfile.HasTag(p.base) && !containerfile.HasDigest(p.base) }

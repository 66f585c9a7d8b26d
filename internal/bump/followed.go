package bump

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
)

// checkFollowed compares the evaluated source after an edit with the one that was fetched
// and hashed. The hash alone does not prove it: Nix would use the old source, which it has,
// for the new one.
func checkFollowed(was, is catalog.App, to step) error {
	if to.tag == "" || is.Source == nil {
		return nil
	}
	for _, attribute := range []struct{ name, was, is, want string }{
		{"github", was.Source.GitHub, is.Source.GitHub, was.Source.GitHub},
		{"git", was.Source.Git, is.Source.Git, was.Source.Git},
		{"goModule", was.Source.GoModule, is.Source.GoModule, was.Source.GoModule},
		{"tag", was.Source.Tag, is.Source.Tag, to.tag},
		{"version", was.Source.Version, is.Source.Version, to.tag},
		{"rev", was.Source.Rev, is.Source.Rev, to.commit},
		{"commit", was.Source.Commit, is.Source.Commit, to.commit},
		{"date", was.Source.Date, is.Source.Date, to.date},
		{"archive", was.Source.Archive, is.Source.Archive, to.archive},
	} {
		name := "source." + attribute.name
		switch {
		case attribute.was == "" && attribute.is == "" || attribute.is == attribute.want:
		case attribute.want == "" && attribute.name == "date": // the new one is unknown
		case attribute.was == attribute.is:
			return notFollowed(was, name, attribute.is, attribute.want)
		default:
			return fmt.Errorf("apps/%s: %s became %s, expected %s: edit it by hand", was.Name, name, attribute.is, attribute.want)
		}
	}
	return checkPatches(was, is)
}

// notFollowed names a literal that did not change, and its place.
func notFollowed(app catalog.App, attribute, is, want string) error {
	where := "apps/" + app.Name
	if at := app.Positions[attribute]; at != nil {
		where = fmt.Sprintf("%s:%d", at.File, at.Line)
	}
	if want != "" {
		want = ", expected " + want
	}
	mend := "edit it by hand"
	if attribute == "source.archive" || attribute == "source.tag" || attribute == "source.version" {
		mend = "write ${version} in it, or " + mend
	}
	return fmt.Errorf("%s: %s stays %s%s: it does not follow version; %s", where, attribute, is, want, mend)
}

// checkArchive refuses an archive's URL that does not contain the version, or still
// contains the old one.
func checkArchive(was, is catalog.App, to step) error {
	if to.version == was.Version && to.tag == was.Source.Revision {
		return nil // upstream moved the tag
	}
	if is.Source.Archive == was.Source.Archive {
		return notFollowed(was, "source.archive", is.Source.Archive, "")
	}
	for _, pair := range [][2]string{{was.Source.Revision, to.tag}, {was.Version, to.version}} {
		old, now := pair[0], pair[1]
		if strings.Contains(old, ".") && old != now && hasWord(strings.ReplaceAll(is.Source.Archive, now, ""), old) {
			return fmt.Errorf("apps/%s: source.archive became %s, in which %s does not follow version; write ${version} in it, or edit it by hand",
				was.Name, is.Source.Archive, old)
		}
	}
	return nil
}

// hasWord reports whether a text contains a version that is not part of another one.
func hasWord(text, version string) bool {
	word, err := regexp.Compile(`(?:^|[^0-9A-Za-z.])v?` + regexp.QuoteMeta(version) + `(?:$|[^0-9A-Za-z.]|\.[^0-9])`)
	return err == nil && word.MatchString(text)
}

// checkPatches refuses patches with a new URL: their hash is unchanged, and Nix would use
// the old patch, which it has, for the new one.
func checkPatches(was, is catalog.App) error {
	known := map[string]bool{}
	each := func(app catalog.App, do func(patch string)) {
		for _, change := range allChanges(app) {
			if strings.Contains(change.Patch, "://") {
				do(change.Patch)
			}
		}
	}
	each(was, func(patch string) { known[patch] = true })
	var err error
	each(is, func(patch string) {
		if !known[patch] && err == nil {
			err = fmt.Errorf("apps/%s: the URL of a patch became %s, but its hash is unchanged: edit both by hand", was.Name, patch)
		}
	})
	return err
}

// images returns an app's images in the copy. It does not wait for the package set.
func (b *Bumper) images(ctx context.Context, c *checkout, app string) ([]*catalog.Spec, error) {
	evaluation, err := b.evaluate(ctx, c.copy, nix.Request{Patterns: onlyApp(app), AllSystems: true, KeysOnly: true})
	if err != nil {
		return nil, err
	}
	if err := evaluation.Failures[app]; err != nil {
		return nil, fmt.Errorf("apps/%s: %w", app, err)
	}
	return evaluation.Images, evaluation.PkgsErr
}

// checkVariants refuses a variant whose own metadata still names the old source. Its
// content may be new all the same. checkFollowed reports problems of the app itself.
func checkVariants(app catalog.App, tag string, after []*catalog.Spec) error {
	was := app.Source.Revision
	if was == "" || was == tag {
		return nil
	}
	for _, spec := range after {
		isBuiltIn := spec.Variant == "default" || spec.Variant == "debug"
		switch stays := spec.Annotations.Revision == was && spec.Annotations.Source == app.Source.Page; {
		case stays && isBuiltIn:
			return nil
		case stays:
			return fmt.Errorf("apps/%s: variant %s: its source stays at %s, expected %s: it does not follow version; write ${app.version} in it, or edit it by hand",
				app.Name, spec.Variant, was, tag)
		}
	}
	return nil
}

// checkFetched compares what the images fetch before and after the edit. A new derivation
// with an old hash that no build found did not follow: Nix would use the old output, which
// it has, for the new one. The source has to come from one place in every variant.
func (b *Bumper) checkFetched(ctx context.Context, c *checkout, app catalog.App, before []*catalog.Spec, planned edits, to step) error {
	after, err := b.images(ctx, c, app.Name)
	if err != nil {
		return err
	}
	if err := checkVariants(app, to.tag, after); err != nil {
		return err
	}
	change, err := b.Nix.DiffFixedOutputs(ctx, derivationsOf(before), derivationsOf(after))
	if err != nil {
		return err
	}
	if err := checkFixed(app, change.Removed, change.Added, planned); err != nil {
		return err
	}
	if _, isNew := planned["version"]; !isNew {
		return nil // upstream moved the tag
	}
	return checkUnchanged(app, change.Kept)
}

// checkUnchanged refuses an unchanged download that belongs to the app's own project and the
// old version: its URL is a literal that did not follow.
func checkUnchanged(app catalog.App, stayed []nix.Fixed) error {
	project := strings.TrimSuffix(cmp.Or(app.Source.GitHub, app.Source.Git), ".git")
	if project == "" || !strings.Contains(app.Version, ".") {
		return nil
	}
	for _, fixed := range stayed {
		for _, url := range fixed.URLs {
			isPatch := slices.ContainsFunc(allChanges(app), func(change catalog.SourceChange) bool { return change.Patch == url })
			if strings.Contains(url, project+"/") && hasWord(url, app.Version) && !isPatch && url != app.Source.Archive {
				return fmt.Errorf("apps/%s: %s is fetched as before: %s in it does not follow version; write ${version} in it, and move its hash to hashes", app.Name, url, app.Version)
			}
		}
	}
	return nil
}

// allChanges returns the changes of an app's source in every variant.
func allChanges(app catalog.App) []catalog.SourceChange {
	return slices.Concat(app.Changes, slices.Concat(slices.Collect(maps.Values(app.VariantChanges))...))
}

func checkFixed(app catalog.App, gone, came []nix.Fixed, planned edits) error {
	told, source := map[string]bool{}, ""
	for attribute, value := range planned {
		told[value.String()] = true
		if attribute == "source.hash" {
			source = value.String()
		}
	}
	stale := map[string]bool{}
	for _, fixed := range gone {
		stale[fixed.Hash] = !told[fixed.Hash]
	}
	place := ""
	for _, fixed := range came {
		urls := strings.Join(fixed.URLs, " ")
		if stale[fixed.Hash] {
			what := nix.DrvName(fixed.Drv)
			if urls != "" {
				what = urls
			}
			return fmt.Errorf("apps/%s: the hash %s of %s does not follow version: move it to hashes, so that libre finds it, or edit it by hand", app.Name, fixed.Hash, what)
		}
		if fixed.Hash != source || urls == "" {
			continue
		}
		if place != "" && place != urls {
			return fmt.Errorf("apps/%s: %s and %s have the same hash: a variant's source does not follow; edit it by hand", app.Name, place, urls)
		}
		place = urls
	}
	return nil
}

package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
)

// errOtherContent says that a tag has other content than the catalogue.
var errOtherContent = errors.New("published with other content")

// otherContent says how to publish all the same. why may be empty.
func otherContent(ref catalog.Ref, app, why string) error {
	if why != "" {
		why = " (" + why + ")"
	}
	return fmt.Errorf("%s is %w: raise the package version with %q%s", ref, errOtherContent, repackCommand(app), why)
}

// publishRecord pushes, signs and verifies the release record, tags the images,
// and tags the record last of all. A tag that somebody else set meanwhile is
// looked at again.
func (p *Publisher) publishRecord(ctx context.Context, release *variantRelease) (Published, error) {
	ref := release.ref()
	result := Published{Name: release.name(), Ref: ref, State: IsPublished}
	var err error
	if result.Tag, err = p.Registry.Tag(ref); err != nil {
		return result, err
	}
	var publish func() error
	if result.Digest, publish, err = p.recordOf(ctx, release); err != nil {
		return result, err
	}
	var tags []tagging
	for _, image := range release.images {
		tags = append(tags, tagging{ref: image.target.Ref, digest: image.subject})
	}
	tags = append(tags, tagging{ref: ref, digest: result.Digest})
	if p.DryRun {
		result.State = WouldBe
		return result, p.checkTags(ctx, p.Registry, release.app.Name, tags)
	}
	if err := publish(); err != nil {
		return result, err
	}
	return result, p.setTags(ctx, p.Registry, release.app.Name, tags)
}

// recordOf is the digest of a release's record, and what publishes and signs it where
// that is not done yet.
func (p *Publisher) recordOf(ctx context.Context, release *variantRelease) (name.Digest, func() error, error) {
	if release.record != (name.Digest{}) {
		return release.record, func() error { return nil }, nil
	}
	place, err := p.place(release)
	if err != nil {
		return name.Digest{}, nil, err
	}
	if release.place != nil {
		place = *release.place
	}
	record, err := p.newRecord(ctx, place, release.app, release.variant, release.images)
	if err != nil {
		return name.Digest{}, nil, err
	}
	artifact, err := record.artifact()
	if err != nil {
		return name.Digest{}, nil, err
	}
	digest, err := p.Registry.ArtifactDigest(release.ref(), artifact)
	return digest, func() error {
		if _, err := p.Registry.PushArtifact(ctx, release.ref(), artifact); err != nil || p.Signing == nil {
			return err
		}
		signer, err := p.Signing.Signer()
		if err == nil {
			_, err = p.Signing.Client.Sign(ctx, signer, digest)
		}
		return explained(err)
	}, err
}

// tagging is a tag that is to point to a digest.
type tagging struct {
	ref    catalog.Ref
	digest name.Digest
	now    string // the digest that it points to, "" where there is no such tag
	tag    name.Tag
}

func (t tagging) done() bool { return t.now == t.digest.DigestStr() }

// setTags tags in order, and says what it replaced. All tags are looked at before
// the first is set, so that a release gets all of its own or none, and each again
// right before it is set, since others may set it as well.
func (p *Publisher) setTags(ctx context.Context, in *registry.Client, app string, tags []tagging) error {
	if err := p.checkTags(ctx, in, app, tags); err != nil {
		return err
	}
	for i := range tags {
		tag := &tags[i]
		if i > 0 {
			if err := p.checkTags(ctx, in, app, tags[i:i+1]); err != nil {
				return err
			}
		}
		if tag.done() {
			continue
		}
		switch err := in.SetTag(ctx, tag.ref, tag.digest); {
		case errors.Is(err, registry.ErrTagMoved) && !p.Force:
			return otherContent(tag.ref, app, "it was set at the same time")
		case keepsTags(err):
			return kept(err, tag.now, fmt.Sprintf("raise the package version with %q", repackCommand(app)))
		case err != nil:
			return err
		}
		if tag.now != "" {
			p.Watcher.Warn(catalog.ID{App: app}, fmt.Sprintf("%s is replaced: it was %s", tag.ref, tag.now))
		}
	}
	return nil
}

// checkTags finds out what tags point to, and refuses where that is something else,
// unless it is to be replaced.
func (p *Publisher) checkTags(ctx context.Context, in *registry.Client, app string, tags []tagging) error {
	if err := readTags(ctx, in, tags); err != nil {
		return err
	}
	for _, tag := range tags {
		if tag.now != "" && !tag.done() && !p.Force {
			return otherContent(tag.ref, app, "")
		}
	}
	return nil
}

// readTags finds out what tags point to: one request each.
func readTags(ctx context.Context, in *registry.Client, tags []tagging) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range tags {
		group.Go(func() error {
			reference, err := in.Tag(tags[i].ref)
			if err != nil {
				return err
			}
			tags[i].tag = reference
			head, err := in.HeadAt(ctx, reference, tags[i].digest.DigestStr())
			switch {
			case errors.Is(err, registry.ErrNotFound):
				tags[i].now = ""
			case err != nil:
				return err
			default:
				tags[i].now = head.Digest.String()
			}
			return nil
		})
	}
	return group.Wait()
}

// moveTags points the moving tags of a published release to it, the record's
// last. A tag never goes back to an older release.
func (p *Publisher) moveTags(ctx context.Context, in *registry.Client, release *variantRelease, published []Published) []Published {
	var moved []Published
	for _, pattern := range p.AlsoTags {
		tag, err := catalog.ExpandMovingTag(pattern, release.app.Version)
		if err == nil {
			var results []Published
			results, err = p.moveTag(ctx, in, release, tag, published)
			moved = append(moved, results...)
		}
		if err != nil {
			moved = append(moved, Published{Name: release.name(), State: PublishFailed, Err: &Failure{Step: "tag " + pattern, Err: err}})
		}
	}
	return moved
}

// moveTag looks at all that the tag points to before it moves any of it.
func (p *Publisher) moveTag(ctx context.Context, in *registry.Client, release *variantRelease, tag string, published []Published) ([]Published, error) {
	var results []Published
	for _, there := range published {
		to := there.Tag.Context().Tag(tag)
		result := Published{Name: there.Name, Ref: catalog.Ref{Repository: there.Ref.Repository, Tag: tag}, State: Moved, Digest: there.Digest, Tag: to}
		at, newer, err := p.tagged(ctx, in, to, release.app)
		switch {
		case err != nil:
			return nil, err
		case newer != "":
			return []Published{{Name: release.name(), State: Held, Digest: published[len(published)-1].Digest,
				Reason: fmt.Sprintf("not tagged %s: that is at %s, which is newer", tag, newer)}}, nil
		case at == there.Digest.DigestStr():
			result.State = WasThere
		case p.DryRun:
			result.State = WouldBe
		}
		results = append(results, result)
	}
	for _, result := range results {
		if result.State != Moved {
			continue
		}
		err := in.SetTag(ctx, result.Ref, result.Digest)
		if keepsTags(err) {
			err = kept(err, "", "take it out of alsoTag")
		}
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// keepsTags tells that a registry changes no tag that is there: most refuse, some take
// the new one and drop it.
func keepsTags(err error) bool {
	return errors.Is(err, registry.ErrTagKept) || errors.Is(err, registry.ErrTagMoved)
}

// kept says what to do about a tag that stays as it is. now is what it shows, "" where
// that is not known.
func kept(err error, now, instead string) error {
	why := fault.Reason(err)
	if now != "" {
		why += " (it shows " + now + ")"
	}
	return &fault.Fault{Err: errors.New(why), Fix: instead + ", or let tags be overwritten in the registry's settings"}
}

// tagged tells what a moving tag points to, "" where there is no such tag, and
// its version if that is newer than the app's. Only what we signed is believed: else
// the tag is replaced where that is forced.
func (p *Publisher) tagged(ctx context.Context, in *registry.Client, tag name.Tag, app catalog.App) (digest, newer string, err error) {
	got, err := in.Get(ctx, tag)
	if errors.Is(err, registry.ErrNotFound) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	if p.Signing != nil {
		_, err := p.Signing.Client.Verify(ctx, tag.Context().Digest(got.Digest.String()), p.Signing.Policy)
		if isUnsigned(err) && p.Force {
			return got.Digest.String(), "", nil
		}
		if isUnsigned(err) {
			return "", "", fmt.Errorf("%s points to what this catalogue's key did not sign: replace it with --force: %w", tag, err)
		}
		if err != nil {
			return "", "", explained(err)
		}
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(got.Content, &manifest); err != nil {
		return "", "", fmt.Errorf("reading %s: %w", tag, err)
	}
	// What is signed as another's says nothing of this one.
	if title := manifest.Annotations[ociPrefix+"title"]; title != path.Base(tag.RepositoryStr()) {
		if p.Force {
			return got.Digest.String(), "", nil
		}
		return "", "", fmt.Errorf("%s points to what is signed as %q: replace it with --force", tag, title)
	}
	version := manifest.Annotations[librePrefix+"app-version"]
	packageVersion, _ := strconv.Atoi(manifest.Annotations[librePrefix+"package-version"])
	order := catalog.CompareVersions(version, app.Version)
	if order > 0 || order == 0 && packageVersion > app.PackageVersion {
		newer = catalog.Tag(version, packageVersion)
	}
	return got.Digest.String(), newer, nil
}

package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
)

// Publisher publishes images so that nobody ever sees an unsigned tag, or half
// of a release.
type Publisher struct {
	*Builder
	Registry      *registry.Client
	Signing       *Signing // nil: nothing is signed, nor attested
	Circumstances Circumstances
	DryRun        bool // write nothing
	Force         bool // replace tags that have other content
}

// Signing is how attachments are made and checked.
type Signing struct {
	Client *sign.Client
	Signer *sign.Signer // nil where only the policy is needed
	Policy *sign.Policy
}

// Published is what became of one image or release record.
type Published struct {
	Name   string // app/component/variant, or app/variant of a record
	State  PublishState
	Digest name.Digest // of the index, or of the record
	Tag    name.Tag
	Reason string   // why it was held back, what was replaced
	Err    *Failure // where it failed
}

// PublishState is what became of an image or record.
type PublishState string

const (
	IsPublished  PublishState = "published" // this run did
	WasThere     PublishState = "unchanged" // it was published before
	Held         PublishState = "held"      // pushed by digest, without a tag: its release is not whole
	WouldBe      PublishState = "dry-run"
	NotPublished PublishState = "failed"
)

// variantRelease is all images of an app's variant: what becomes visible at once.
type variantRelease struct {
	app     catalog.App
	variant string
	images  []*publication
}

func (r *variantRelease) name() string { return r.app.Name + "/" + r.variant }

func (r *variantRelease) targets() []*Target {
	var all []*Target
	for _, image := range r.images {
		all = append(all, image.target)
	}
	return all
}

// Push publishes the selected images: it builds what is missing, and does for
// each image, in order, the steps of pushSteps and attachSteps, then for each release what
// publishRecord does. It goes on after failures, and running it again completes it.
func (p *Publisher) Push(ctx context.Context, request nix.Request) ([]Published, error) {
	releases, evaluation, err := p.releases(ctx, request)
	if err != nil {
		return nil, err
	}
	var results []Published
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		results = append(results, Published{Name: app, State: NotPublished, Err: &Failure{Step: string(StepEvaluate), Err: evaluation.Failures[app]}})
	}
	var missing []*variantRelease
	var wanted []*Target
	for _, release := range releases {
		published, err := p.published(ctx, release)
		switch {
		case err != nil:
			results = append(results, Published{Name: release.name(), State: NotPublished, Err: &Failure{Step: "look", Err: err}})
		case published != nil:
			results = append(results, published...)
		default:
			missing = append(missing, release)
			for _, image := range release.images {
				if image.selected {
					wanted = append(wanted, image.target)
				}
			}
		}
	}
	if len(missing) == 0 {
		return results, nil
	}
	if !p.DryRun && len(wanted) > 0 {
		// Before the first build, which may take an hour. What else is wrong with a
		// registry shows when it matters.
		var refusal *registry.CredentialError
		if err := p.Registry.CheckPush(wanted[0].RefName); errors.As(err, &refusal) {
			return results, err
		}
	}
	built, err := p.buildTargets(ctx, wanted)
	if err != nil {
		return results, err
	}
	for _, result := range built {
		if result.State == Failed {
			failed(missing, result)
		}
	}
	for _, release := range missing {
		results = append(results, p.release(ctx, release)...)
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
	}
	return results, nil
}

// failed notes a failed build with the image's publication.
func failed(releases []*variantRelease, result Result) {
	for _, release := range releases {
		for _, image := range release.images {
			if image.target.ID == result.ID {
				image.failure = result.Err
			}
		}
	}
}

// releases evaluates the selected images and their siblings: whether a release
// is whole depends on these too.
func (p *Publisher) releases(ctx context.Context, request nix.Request) ([]*variantRelease, *nix.Evaluation, error) {
	selected := request.Patterns
	request.Patterns = nil
	for _, pattern := range selected {
		request.Patterns = append(request.Patterns, catalog.Pattern{App: pattern.App, Component: "*", Variant: pattern.Variant})
	}
	request.AllSystems = true
	evaluation, err := p.Catalogue.Evaluate(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	if _, err := catalog.SelectImages(selected, evaluation.Apps); err != nil {
		return nil, nil, err
	}
	byName := map[string]*variantRelease{}
	var all []*variantRelease
	for _, target := range targets(evaluation.Images) {
		if len(target.Specs) == 0 {
			continue // no system has it: the release is whole without it
		}
		app := evaluation.Apps[target.App]
		release := byName[target.App+"/"+target.Variant]
		if release == nil {
			release = &variantRelease{app: app, variant: target.Variant}
			byName[release.name()] = release
			all = append(all, release)
		}
		release.images = append(release.images, &publication{
			target: target, app: app,
			selected: slices.ContainsFunc(selected, func(s catalog.Pattern) bool { return s.Match(target.ID) }),
		})
	}
	return all, evaluation, nil
}

// errOtherContent says that a tag has other content than the catalogue.
var errOtherContent = errors.New("published with other content")

func otherContent(refName, app string) error {
	return fmt.Errorf("%s is %w: raise packageVersion in apps/%s/default.nix", refName, errOtherContent, app)
}

// published tells whether a release is published as it is wanted: its record
// verifies and names the same image keys, and each image's tag points to the
// record's digest. It is errOtherContent if the record is another one, or is not
// ours, unless that is to be replaced.
func (p *Publisher) published(ctx context.Context, release *variantRelease) ([]Published, error) {
	refName := recordRefName(release.app, release.variant)
	tag, err := p.Registry.Tag(refName)
	if err != nil {
		return nil, err
	}
	record, digest, err := readRecord(ctx, p.Registry, tag)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if p.Signing != nil {
		_, err := p.Signing.Client.Verify(ctx, digest, p.Signing.Policy)
		switch {
		case err == nil:
		case !isUnsigned(err):
			return nil, explained(err)
		case p.Force:
			return nil, nil
		default:
			return nil, fmt.Errorf("%s is %w, which this catalogue's key did not sign: %w", refName, errOtherContent, err)
		}
	}
	if !record.sameKeys(release.targets()) {
		if p.Force {
			return nil, nil
		}
		return nil, otherContent(refName, release.app.Name)
	}
	results := []Published{{Name: release.name(), State: WasThere, Digest: digest, Tag: tag}}
	for _, image := range release.images {
		component := record.Components[image.target.Component]
		tag, err := p.Registry.Tag(component.Reference)
		if err != nil {
			return nil, err
		}
		head, err := p.Registry.Head(ctx, tag)
		if errors.Is(err, registry.ErrNotFound) || err == nil && head.Digest.String() != component.Digest {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		results = append(results, Published{Name: image.target.ID.String(), State: WasThere, Digest: tag.Context().Digest(component.Digest), Tag: tag})
	}
	return results, nil
}

// isUnsigned tells what is not signed, or not by us, from what is not known.
func isUnsigned(err error) bool {
	var invalid *sign.InvalidError
	return errors.Is(err, sign.ErrNotAttached) || errors.As(err, &invalid)
}

// explained says what a registry answered to package sign as what it answers to
// us is said.
func explained(err error) error {
	var answer *sign.RegistryError
	if errors.As(err, &answer) {
		return registry.Explain(answer.Op, answer.Err)
	}
	return err
}

// release publishes the images of a release, and tags when all are there.
func (p *Publisher) release(ctx context.Context, release *variantRelease) []Published {
	var results []Published
	whole := ""
	for _, image := range release.images {
		result := Published{Name: image.target.ID.String(), State: Held}
		err := image.publish(ctx, p)
		result.Digest = image.subject
		switch {
		case err == nil:
		case errors.Is(err, errNotThere):
			whole = image.target.ID.String() + " is not published yet"
			continue
		default:
			result.State, result.Err = NotPublished, err
			whole = image.target.ID.String() + " failed"
		}
		results = append(results, result)
	}
	if whole != "" {
		for i := range results {
			if results[i].State == Held {
				results[i].Reason = "not tagged: " + whole
			}
		}
		return results
	}
	record, err := p.publishRecord(ctx, release)
	if err != nil {
		record = Published{Name: release.name(), State: NotPublished, Err: &Failure{Step: "record", Err: err}}
	}
	for i := range results {
		if err == nil {
			results[i].State = record.State
			results[i].Tag, _ = p.Registry.Tag(release.images[i].target.RefName)
		} else {
			results[i].Reason = "the release record failed"
		}
	}
	return append(results, record)
}

// publishRecord pushes, signs and verifies the release record, tags the images,
// and tags the record last of all. A tag that somebody else set meanwhile is
// looked at again.
func (p *Publisher) publishRecord(ctx context.Context, release *variantRelease) (Published, error) {
	refName := recordRefName(release.app, release.variant)
	result := Published{Name: release.name(), State: IsPublished}
	artifact, err := newRecord(release.app, release.variant, release.images).artifact()
	if err != nil {
		return result, err
	}
	if result.Tag, err = p.Registry.Tag(refName); err != nil {
		return result, err
	}
	if p.DryRun {
		result.State = WouldBe
		result.Digest, err = p.Registry.ArtifactDigest(refName, artifact)
		return result, err
	}
	if result.Digest, err = p.Registry.PushArtifact(ctx, refName, artifact); err != nil {
		return result, err
	}
	if p.Signing != nil {
		if _, err := p.Signing.Client.Sign(ctx, p.Signing.Signer, result.Digest); err != nil {
			return result, explained(err)
		}
	}
	for _, image := range release.images {
		if err := p.setTag(ctx, image.target.ID, image.target.RefName, image.subject); err != nil {
			return result, err
		}
	}
	return result, p.setTag(ctx, catalog.ID{App: release.app.Name}, refName, result.Digest)
}

// setTag tags, and says what it replaced.
func (p *Publisher) setTag(ctx context.Context, id catalog.ID, refName string, digest name.Digest) error {
	replaced, err := p.Registry.SetTag(ctx, refName, digest, p.Force)
	if errors.Is(err, registry.ErrTaken) {
		return otherContent(refName, id.App)
	}
	if replaced != nil {
		p.Watcher.Warn(id, fmt.Sprintf("%s is replaced: it was %s", refName, replaced))
	}
	return err
}

// bases are the images that an image was built on, by digest, as its labels say.
func (p *Publisher) bases(i *publication) []resource {
	var bases []resource
	for _, manifest := range i.manifests {
		digest := manifest.Annotations[ociPrefix+"base.digest"]
		if algorithm, hex, found := strings.Cut(digest, ":"); found {
			bases = append(bases, resource{Name: "base " + manifest.Annotations[ociPrefix+"base.name"], Digest: map[string]string{algorithm: hex}})
		}
	}
	return bases
}

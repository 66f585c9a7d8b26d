package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
)

// RemoteState is how a release in a registry compares with the catalogue.
type RemoteState string

const (
	AsWanted     RemoteState = "published"     // the record verifies and names the same image keys, and all tags point to its digests
	IsNew        RemoteState = "new"           // there is no record
	Incomplete   RemoteState = "incomplete"    // the record is right, and so are the tags; of what was attached something is gone
	Untagged     RemoteState = "not tagged"    // the record is right, an image has no tag
	WasMoved     RemoteState = "moved"         // a tag shows something else than what was signed for it
	NotSigned    RemoteState = "not signed"    // the record names the same keys, and we did not sign it
	OtherContent RemoteState = "other content" // the record names other keys, or an image's tag is taken
)

// standing is what the registry has of a release under its version.
type standing struct {
	RemoteState
	reason string
	record *Record     // nil where there is none
	digest name.Digest // of the record
	former string      // tag of the record to learn from, "" for none
	other  catalog.Ref // what has other content: the record, or an image
	moved  []*MovedError
	lacks  []Lacking
	err    error  // of what was moved, or is signed for another registry, with what to do; nil else
	oldKey string // the former key that signed the record, "" where the present one did
}

// has tells whether the record names an image with a key.
func (s standing) has(component, key string) bool {
	return s.record != nil && s.record.Components[component] != nil && s.record.Components[component].Key == key
}

// isElsewhere tells whether the record is one that is signed for another registry.
func (s standing) isElsewhere() bool { return s.RemoteState == NotSigned && s.err != nil }

// look compares a release with what its record's tag points to. A release that
// is published takes one request for the record, those that verify it, and for each
// image one for its tag, and the lists of what is attached to it.
func (p *Publisher) look(ctx context.Context, release *variantRelease) (standing, error) {
	ref := release.ref()
	tag, err := p.Registry.Tag(ref)
	if err != nil {
		return standing{}, err
	}
	record, digest, err := readRecord(ctx, p.Registry, tag)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return p.lookForFormer(ctx, release)
	case errors.Is(err, errNoRecord):
		s := standing{RemoteState: OtherContent, digest: digest, other: ref, reason: errNoRecord.Error()}
		return p.movedRecord(ctx, release, s, catalog.Ref{})
	case err != nil:
		return standing{}, err
	}
	s := standing{RemoteState: AsWanted, record: record, digest: digest, former: tag.TagStr()}
	// The images are asked for while the signature is verified.
	var asked errgroup.Group
	var images []tagging
	var lacks []Lacking
	asked.Go(func() (err error) {
		images, err = p.lookTags(ctx, p.Registry, release, record)
		return err
	})
	asked.Go(func() (err error) {
		lacks, err = p.lookAttached(ctx, p.Registry, release, record)
		return err
	})
	if p.Signing != nil {
		signature, err := p.Signing.verifyRecord(ctx, record, digest, p.Signing.Client.VerifyListed)
		switch {
		case err == nil && signature.Former:
			s.oldKey = signature.Key
		case err == nil:
		case isUnsigned(err):
			s.RemoteState, s.reason, s.err = NotSigned, explained(err).Error(), signedElsewhere(err)
		default:
			return s, explained(err)
		}
	}
	if as := record.ref(); s.RemoteState == AsWanted && as != ref {
		return p.movedRecord(ctx, release, s, as)
	}
	if difference := record.difference(release.targets()); difference != "" {
		if s.RemoteState == NotSigned {
			difference += ", and this catalogue's key did not sign it: " + s.reason
		}
		s.RemoteState, s.other, s.reason = OtherContent, ref, difference
	}
	if s.RemoteState != AsWanted {
		return p.movedRecord(ctx, release, s, catalog.Ref{})
	}
	if err = asked.Wait(); err == nil {
		s.compareTags(release, images)
		s.lack(release, lacks)
	}
	return s, err
}

// lack adds what is gone of what was attached.
func (s *standing) lack(release *variantRelease, lacks []Lacking) {
	s.lacks = append(s.lacks, lacks...)
	if s.RemoteState == AsWanted && len(s.lacks) > 0 {
		s.RemoteState = Incomplete
		s.reason = lacksText(s.lacks) + ": " + release.attachAgain()
	}
}

// compareTags adds what the tags of a release show that is not what its record names.
func (s *standing) compareTags(release *variantRelease, tags []tagging) {
	for _, tag := range tags {
		switch {
		case tag.done():
		case tag.now != "":
			s.setMoved(release, &MovedError{Reference: tag.tag.String(), Shows: tag.now, Signed: tag.digest.DigestStr(), By: recordNames})
		case s.RemoteState != WasMoved:
			s.RemoteState, s.reason = Untagged, "there is no tag "+tag.tag.String()
		}
	}
}

// lookForFormer tells of a release that has no record what was published before it.
// Where that is nothing, the tags of its images may be somebody else's: that is
// found out before anything is built.
func (p *Publisher) lookForFormer(ctx context.Context, release *variantRelease) (standing, error) {
	s := standing{RemoteState: IsNew}
	tags, err := p.Registry.Tags(ctx, release.ref().Repository)
	if err != nil {
		p.Watcher.Warn(catalog.ID{App: release.app.Name}, "looking for what was published before: "+err.Error())
	}
	s.former = newestRelease(tags)
	if untagged, err := p.lookForUntagged(ctx, release); err != nil || untagged.record != nil {
		untagged.former = s.former
		return untagged, err
	}
	if s.former != "" {
		return s, nil
	}
	var group errgroup.Group
	taken := make([]bool, len(release.images))
	for n, publication := range release.images {
		group.Go(func() error {
			tag, err := p.Registry.Tag(publication.target.Ref)
			if err != nil {
				return err
			}
			_, index, err := p.readIndex(ctx, tag)
			if errors.Is(err, registry.ErrNotFound) {
				return nil
			}
			taken[n] = err == nil && index.Annotations[image.ImageKeyAnnotation] != publication.target.Key()
			return err
		})
	}
	err = group.Wait()
	if n := slices.Index(taken, true); n >= 0 {
		s.RemoteState, s.other = OtherContent, release.images[n].target.Ref
		s.reason = "the tag " + s.other.String() + " is of another image, and there is no release record"
	}
	return s, err
}

// lookForUntagged finds a signed record that has no tag, of images that have theirs:
// the record's tag was removed, or a run was stopped before it was set.
func (p *Publisher) lookForUntagged(ctx context.Context, release *variantRelease) (standing, error) {
	tag, err := p.Registry.Tag(release.images[0].target.Ref)
	if err != nil {
		return standing{}, err
	}
	if _, err := p.Registry.Head(ctx, tag); errors.Is(err, registry.ErrNotFound) {
		return standing{}, nil
	} else if err != nil {
		return standing{}, err
	}
	record, digest, err := p.findSigned(ctx, release, name.Digest{})
	return standing{RemoteState: Untagged, record: record, digest: digest, reason: "there is no tag " + release.ref().String()}, err
}

// lookTags finds out what the tags of a release's images show in a registry.
func (p *Publisher) lookTags(ctx context.Context, in *registry.Client, release *variantRelease, record *Record) ([]tagging, error) {
	var tags []tagging
	for _, image := range release.images {
		component := record.Components[image.target.Component]
		if component == nil {
			continue
		}
		tag, err := in.Tag(component.Reference)
		if err != nil {
			return nil, err
		}
		tags = append(tags, tagging{ref: component.Reference, digest: tag.Context().Digest(component.Digest)})
	}
	return tags, readTags(ctx, in, tags)
}

// survey is look, in all registries that get the release.
func (p *Publisher) survey(ctx context.Context, release *variantRelease) (standing, error) {
	s, err := p.look(ctx, release)
	if err != nil || s.RemoteState != AsWanted && s.RemoteState != Incomplete {
		return s, err
	}
	for _, to := range p.CopyTo {
		tags, err := p.lookTags(ctx, to, release, s.record)
		if err != nil {
			return s, err
		}
		tag, err := to.Tag(release.ref())
		if err != nil {
			return s, err
		}
		own := []tagging{{ref: release.ref(), digest: tag.Context().Digest(s.digest.DigestStr())}}
		if err := readTags(ctx, to, own); err != nil {
			return s, err
		}
		s.compareTags(release, append(tags, own...))
		if s.RemoteState == AsWanted || s.RemoteState == Incomplete {
			lacks, err := p.lookCopied(ctx, to, release, own[0], s.record)
			if err != nil {
				return s, err
			}
			s.lack(release, lacks)
		}
	}
	return s, nil
}

// lookCopied finds out what a copy of a release lacks in a registry, the record's
// signature included.
func (p *Publisher) lookCopied(ctx context.Context, in *registry.Client, release *variantRelease, own tagging, record *Record) ([]Lacking, error) {
	if p.Signing == nil {
		return nil, nil
	}
	var lacks []Lacking
	var asked errgroup.Group
	asked.Go(func() (err error) {
		lacks, err = p.lookAttached(ctx, in, release, record)
		return err
	})
	signed, err := p.Signing.Client.Lacks(ctx, own.digest, p.Signing.Policy, sign.Wanted{Kind: sign.SignatureType, Times: 1})
	if waited := asked.Wait(); err == nil {
		err = waited
	}
	if err == nil && len(signed) > 0 {
		lacks = append(lacks, Lacking{Reference: own.tag.String(), Digest: own.digest, Kinds: []string{kindName(sign.SignatureType)}, ofRecord: true})
	}
	return lacks, explained(err)
}

// difference tells a record from what is wanted, "" where it is the same.
func (r *Record) difference(targets []*Target) string {
	for _, target := range targets {
		component := r.Components[target.Component]
		if component == nil {
			return "it has no image " + target.ID.String()
		}
		if key := target.Key(); component.Key != key {
			return fmt.Sprintf("image key of %s changed: %s → %s", target.ID, short(component.Key), short(key))
		}
	}
	if len(r.Components) > len(targets) {
		return fmt.Sprintf("it has %d images, the catalogue %d", len(r.Components), len(targets))
	}
	return ""
}

// isUnsigned tells what is not signed, or not by us, from what is not known.
func isUnsigned(err error) bool {
	var invalid *sign.InvalidError
	return errors.Is(err, sign.ErrNotAttached) || errors.As(err, &invalid)
}

// explained says what a registry answered to package sign as what it answers to
// us is said, and what to do about what is signed for another registry.
func explained(err error) error {
	var answer *sign.RegistryError
	if errors.As(err, &answer) {
		return registry.Explain(answer.Op, answer.Err)
	}
	return placed(err)
}

// adopt takes the image that a reference names as it is, if it has the wanted key and is
// ours: known says that a record of ours names it, else something that is attached to it
// must say so. What is gone of what was attached are its gaps. What a Containerfile's
// steps make differs from time to time: the first published digest of a key stands.
func (i *publication) adopt(ctx context.Context, p *Publisher, reference name.Reference, known bool) error {
	there, err := i.published(ctx, p, reference)
	if err != nil || there == nil {
		return err
	}
	if p.Signing != nil && !known {
		if ours, err := there.isOurs(ctx, p); err != nil || !ours {
			return err // it is built again, and compared
		}
	}
	if err := there.findGaps(ctx, p); err != nil {
		return err
	}
	i.index, i.manifests, i.subject, i.gaps, i.adopted = there.index, there.manifests, there.subject, there.gaps, true
	return nil
}

// published reads the image that a reference names. It is nil where that is not there, not
// whole, or has another key than is wanted.
func (i *publication) published(ctx context.Context, p *Publisher, reference name.Reference) (*publication, error) {
	described, index, err := p.readIndex(ctx, reference)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if index.Annotations[image.ImageKeyAnnotation] != i.target.Key() {
		return nil, nil // it is refused as other content
	}
	there := &publication{subject: reference.Context().Digest(described.Digest.String()), index: described}
	for _, child := range index.Manifests {
		manifest, err := p.Registry.Get(ctx, reference.Context().Digest(child.Digest.String()))
		if errors.Is(err, registry.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		var read v1.Manifest
		if json.Unmarshal(manifest.Content, &read) != nil {
			return nil, nil
		}
		lost, err := p.Registry.Lost(ctx, reference.Context(), append(read.Layers, read.Config))
		if err != nil {
			return nil, err
		}
		if lost {
			return nil, nil // it is built and sent again
		}
		child.Annotations = read.Annotations
		there.manifests = append(there.manifests, child)
	}
	return there, nil
}

// readIndex reads an image's index; it is empty where something else is there.
func (p *Publisher) readIndex(ctx context.Context, reference name.Reference) (v1.Descriptor, v1.IndexManifest, error) {
	got, err := p.Registry.Get(ctx, reference)
	if err != nil {
		return v1.Descriptor{}, v1.IndexManifest{}, err
	}
	var index v1.IndexManifest
	if json.Unmarshal(got.Content, &index) != nil {
		index = v1.IndexManifest{}
	}
	return got.Descriptor, index, nil
}

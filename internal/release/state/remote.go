package state

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/sign"
)

// Remote is a release in the registry, compared with the catalogue.
type Remote struct {
	State         State
	Reason        string
	Record        *Record     // nil if there is none
	Digest        name.Digest // of the record
	Former        string      // tag of the newest record, whose layers the registry has; "" for none
	Other         catalog.Ref // the record or image with other content
	Moved         []*MovedError
	Lacks         []Lacking
	Twice         []string // images with VEX documents that the registry did not delete
	OldKey        string   // the former key that signed the record, "" if the present one did
	SaysOtherwise bool     // the withdrawals at its record differ from the catalogue's list
	Err           error    // error with its fix, if a tag was moved or the record is signed for another registry
}

// has reports whether the record names an image with a key.
func (s Remote) has(component, key string) bool {
	return s.Record != nil && s.Record.Components[component] != nil && s.Record.Components[component].Key == key
}

// IsElsewhere reports whether the record is signed for another registry.
func (s Remote) IsElsewhere() bool { return s.State == NotSigned && s.Err != nil }

// lookSignature verifies the signature of a published record. An error means that it is not
// known whether it is signed.
func (r *Reader) lookSignature(ctx context.Context, s *Remote, view *sign.Attachments) error {
	signature, err := r.Signing.VerifyRecord(ctx, s.Record, s.Digest, view.VerifyListed)
	switch {
	case err == nil && signature.Former:
		s.OldKey = signature.Key
	case err == nil:
	case IsUnsigned(err):
		s.State, s.Reason, s.Err = NotSigned, Explained(err).Error(), signedElsewhere(err)
	default:
		return Explained(err)
	}
	return nil
}

// Compare compares a release with the record that its tag points to. For a published
// release it reads the record, its signature, the tag of each image, and the lists of
// attachments.
func (r *Reader) Compare(ctx context.Context, rel *Release) (Remote, error) {
	ref := rel.Ref()
	tag, err := r.Registry.Tag(ref)
	if err != nil {
		return Remote{}, err
	}
	record, digest, err := readRecord(ctx, r.Registry, tag)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return r.lookForFormer(ctx, rel)
	case errors.Is(err, errNoRecord):
		s := Remote{State: OtherContent, Digest: digest, Other: ref, Reason: errNoRecord.Error()}
		return r.movedRecord(ctx, rel, s, catalog.Ref{})
	case err != nil:
		return Remote{}, err
	}
	s := Remote{State: Published, Record: record, Digest: digest, Former: tag.TagStr()}
	// Read the tags while the signature is verified.
	var asked errgroup.Group
	var images []Tagging
	var lacks []Lacking
	var twice []string
	var view *sign.Attachments // of the record
	asked.Go(func() (err error) {
		images, err = r.lookTags(ctx, r.Registry, rel, record)
		return err
	})
	asked.Go(func() (err error) {
		lacks, twice, err = r.lookAttached(ctx, r.Registry, rel, record)
		return err
	})
	if r.Signing != nil {
		view = r.Signing.Client.Listed(digest)
		if err := r.lookSignature(ctx, &s, view); err != nil {
			return s, err
		}
	}
	if as := record.ref(); s.State == Published && as != ref {
		return r.movedRecord(ctx, rel, s, as)
	}
	if difference := record.difference(rel.Targets); difference != "" {
		if s.State == NotSigned {
			difference += ", and this catalogue's key did not sign it: " + s.Reason
		}
		s.State, s.Other, s.Reason = OtherContent, ref, difference
	}
	if s.State != Published {
		return r.movedRecord(ctx, rel, s, catalog.Ref{})
	}
	if err = asked.Wait(); err == nil {
		s.compareTags(rel, images)
		s.lack(rel, lacks)
		s.Twice = twice
		if view != nil {
			s.SaysOtherwise, err = r.saysOtherwise(ctx, view, rel)
		}
	}
	return s, err
}

// lack adds missing attachments.
func (s *Remote) lack(rel *Release, lacks []Lacking) {
	s.Lacks = append(s.Lacks, lacks...)
	if s.State == Published && len(s.Lacks) > 0 {
		s.State = Incomplete
		s.Reason = lacksText(s.Lacks) + ": " + rel.attachAgain()
	}
}

// compareTags adds the tags that do not point to the digests of the record.
func (s *Remote) compareTags(rel *Release, tags []Tagging) {
	for _, tag := range tags {
		switch {
		case tag.Done():
		case tag.Now != "":
			s.setMoved(rel, &MovedError{Reference: tag.Tag.String(), Shows: tag.Now, Signed: tag.Digest.DigestStr(), By: recordNames})
		case s.State != Moved:
			s.State, s.Reason = NotTagged, "there is no tag "+tag.Tag.String()
		}
	}
}

// lookForFormer finds the newest release that was published before one without a record.
// If there is none, it checks that the tags of the images are free, before anything is
// built.
func (r *Reader) lookForFormer(ctx context.Context, rel *Release) (Remote, error) {
	s := Remote{State: NotPublished}
	tags, err := r.Registry.Tags(ctx, rel.Ref().Repository)
	if err != nil {
		r.Warn(catalog.ID{App: rel.App.Name}, "looking for what was published before: "+err.Error())
	}
	s.Former = newestRelease(tags)
	if untagged, err := r.lookForUntagged(ctx, rel); err != nil || untagged.Record != nil {
		untagged.Former = s.Former
		return untagged, err
	}
	if s.Former != "" {
		return s, nil
	}
	var group errgroup.Group
	taken := make([]bool, len(rel.Targets))
	for n, target := range rel.Targets {
		group.Go(func() error {
			tag, err := r.Registry.Tag(target.Ref)
			if err != nil {
				return err
			}
			_, index, err := r.readIndex(ctx, tag)
			if errors.Is(err, registry.ErrNotFound) {
				return nil
			}
			taken[n] = err == nil && index.Annotations[image.ImageKeyAnnotation] != target.Key()
			return err
		})
	}
	err = group.Wait()
	if n := slices.Index(taken, true); n >= 0 {
		s.State, s.Other = OtherContent, rel.Targets[n].Ref
		s.Reason = "the tag " + s.Other.String() + " points to another image, and there is no release record"
	}
	return s, err
}

// lookForUntagged finds a signed record without a tag, by the tags of its images: the
// record's tag was removed, or a run stopped before it set the tag.
func (r *Reader) lookForUntagged(ctx context.Context, rel *Release) (Remote, error) {
	tag, err := r.Registry.Tag(rel.Targets[0].Ref)
	if err != nil {
		return Remote{}, err
	}
	// Before a registry has answered HEAD once, Head would ask again with GET whether there is no tag.
	if _, err := r.Registry.Get(ctx, tag); errors.Is(err, registry.ErrNotFound) {
		return Remote{}, nil
	} else if err != nil {
		return Remote{}, err
	}
	record, digest, err := r.findSigned(ctx, rel, name.Digest{})
	return Remote{State: NotTagged, Record: record, Digest: digest, Reason: "there is no tag " + rel.Ref().String()}, err
}

// lookTags reads the tags of a release's images in a registry.
func (r *Reader) lookTags(ctx context.Context, in *registry.Client, rel *Release, record *Record) ([]Tagging, error) {
	var tags []Tagging
	for _, target := range rel.Targets {
		component := record.Components[target.ID.Component]
		if component == nil {
			continue
		}
		tag, err := in.Tag(component.Reference)
		if err != nil {
			return nil, err
		}
		tags = append(tags, Tagging{Ref: component.Reference, Digest: tag.Context().Digest(component.Digest)})
	}
	return tags, ReadTags(ctx, in, tags)
}

// CompareAll compares a release with all registries that it is copied to, as Compare does, and
// reads its moving tags.
func (r *Reader) CompareAll(ctx context.Context, rel *Release) (Remote, error) {
	s, err := r.Compare(ctx, rel)
	if err != nil || s.State != Published && s.State != Incomplete {
		return s, err
	}
	if err := r.lookMoving(ctx, r.Registry, rel, &s); err != nil {
		return s, err
	}
	for _, to := range r.CopyTo {
		tags, err := r.lookTags(ctx, to, rel, s.Record)
		if err != nil {
			return s, err
		}
		tag, err := to.Tag(rel.Ref())
		if err != nil {
			return s, err
		}
		own := []Tagging{{Ref: rel.Ref(), Digest: tag.Context().Digest(s.Digest.DigestStr())}}
		if err := ReadTags(ctx, to, own); err != nil {
			return s, err
		}
		s.compareTags(rel, append(tags, own...))
		if s.State == Published || s.State == Incomplete {
			there, err := r.LookCopied(ctx, to, rel, own[0], s.Record)
			if err != nil {
				return s, err
			}
			s.lack(rel, there.Lacks)
			s.Twice = append(s.Twice, there.Twice...)
			s.SaysOtherwise = s.SaysOtherwise || there.SaysOtherwise
		}
		if err := r.lookMoving(ctx, to, rel, &s); err != nil {
			return s, err
		}
	}
	return s, nil
}

// A Copied is the state of a release's copy in another registry.
type Copied struct {
	Lacks         []Lacking // including the record's signature
	Twice         []string  // images with several VEX documents
	SaysOtherwise bool      // as Remote's
}

// LookCopied finds the attachments that a copy of a release lacks in a registry.
func (r *Reader) LookCopied(ctx context.Context, in *registry.Client, rel *Release, own Tagging, record *Record) (there Copied, err error) {
	if r.Signing == nil {
		return there, nil
	}
	var asked errgroup.Group
	asked.Go(func() (err error) {
		there.Lacks, there.Twice, err = r.lookAttached(ctx, in, rel, record)
		return err
	})
	view := r.Signing.Client.Listed(own.Digest)
	signed, err := view.Missing(ctx, r.Signing.Policy, sign.Wanted{Kind: sign.SignatureType, Times: 1})
	if waited := asked.Wait(); err == nil {
		err = waited
	}
	if err == nil && len(signed) > 0 {
		there.Lacks = append(there.Lacks, Lacking{Reference: own.Tag.String(), Digest: own.Digest, Kinds: []string{kindName(sign.SignatureType)}, ofRecord: true})
	}
	if err == nil {
		there.SaysOtherwise, err = r.saysOtherwise(ctx, view, rel)
	}
	return there, Explained(err)
}

// IsRecorded reports whether a valid record names the images.
func (s Remote) IsRecorded() bool {
	return s.State == NotTagged || s.State == Incomplete || s.State == Moved && s.Record != nil
}

// LacksOf reports whether an image lacks an attachment.
func (s Remote) LacksOf(target *release.Target) bool {
	return slices.ContainsFunc(s.Lacks, func(l Lacking) bool { return path.Base(l.Digest.Context().RepositoryStr()) == target.ID.Name() })
}

// difference describes the first difference between a record and the targets, or "" if
// there is none.
func (r *Record) difference(targets []*release.Target) string {
	for _, target := range targets {
		component := r.Components[target.ID.Component]
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

// IsUnsigned reports whether an error means that a signature is missing or not valid, and
// not that the registry did not answer.
func IsUnsigned(err error) bool {
	var invalid *sign.InvalidError
	return errors.Is(err, sign.ErrNotAttached) || errors.As(err, &invalid)
}

// Explained rewrites an error of package sign. It reports registry errors as package
// registry does, and adds a fix to errors about signatures for another registry.
func Explained(err error) error {
	var answer *sign.RegistryError
	if errors.As(err, &answer) {
		return registry.Explain(answer.Op, answer.Err)
	}
	return placed(err)
}

// Tagging is a tag that should point to a digest.
type Tagging struct {
	Ref    catalog.Ref
	Digest name.Digest
	Now    string // the digest that it points to; "" if there is no such tag
	Tag    name.Tag
}

// Done reports whether the tag points to the digest.
func (t Tagging) Done() bool { return t.Now == t.Digest.DigestStr() }

// ReadTags reads the digests that tags point to, with one request for each.
func ReadTags(ctx context.Context, in *registry.Client, tags []Tagging) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range tags {
		group.Go(func() error {
			reference, err := in.Tag(tags[i].Ref)
			if err != nil {
				return err
			}
			tags[i].Tag = reference
			head, err := in.HeadAt(ctx, reference, tags[i].Digest.DigestStr())
			switch {
			case errors.Is(err, registry.ErrNotFound):
				tags[i].Now = ""
			case err != nil:
				return err
			default:
				tags[i].Now = head.Digest.String()
			}
			return nil
		})
	}
	return group.Wait()
}

// newestRelease returns the release tag with the highest version.
func newestRelease(tags []string) string {
	if releases := ReleaseTags(tags); len(releases) > 0 {
		return releases[0]
	}
	return ""
}

package state

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
)

// MovedError means that a tag of a release points to something else than what was published
// under it.
type MovedError struct {
	Reference string      // of the tag, registry included
	Shows     string      // the digest that the tag points to now
	Named     catalog.Ref // the release that it is signed as; zero if that is unknown
	Signed    string      // digest that it should point to; "" if that is unknown
	By        string      // the evidence, such as "the release record names"
}

func (e *MovedError) Error() string {
	text := e.Reference + " was moved: it points to " + e.Shows
	if e.Named != (catalog.Ref{}) {
		text += ", which is signed as " + e.Named.String()
	}
	if e.Signed != "" {
		text += ", " + e.By + " " + e.Signed
	}
	return text
}

// MovedFault returns the error with its fix.
func MovedFault(e *MovedError, putBack string) error {
	return &fault.Fault{Err: e, Fix: "this may be an attack: find out who pushed there, then put it back with: " + putBack}
}

// putBackCommand returns the command that points a release's tags to its published images
// again.
func putBackCommand(app, variant string) string {
	return fmt.Sprintf("libre push --force '%s/*/%s'", app, variant)
}

const (
	recordNames = "the release record names"
	signedThere = "the digest signed for it is"
)

// findSigned looks for the record that was signed for a release whose tag now points to
// another record. The same images always give the same record, so its digest follows from
// the tags of the images. findSigned returns nil if that record does not exist, if the tag
// points to it, or if its signature cannot be checked.
func (r *Reader) findSigned(ctx context.Context, rel *Release, shown name.Digest) (*Record, name.Digest, error) {
	if r.Signing == nil {
		return nil, name.Digest{}, nil
	}
	var images []*Image
	for _, target := range rel.Targets {
		tag, err := r.Registry.Tag(target.Ref)
		if err != nil {
			return nil, name.Digest{}, err
		}
		found, _, err := r.Adopt(ctx, target, tag, false, "")
		if err != nil || found == nil {
			return nil, name.Digest{}, err
		}
		images = append(images, found)
	}
	candidates, err := r.candidates(ctx, rel, images)
	if err != nil {
		return nil, name.Digest{}, err
	}
	for _, c := range candidates {
		if c.digest.DigestStr() == shown.DigestStr() {
			return nil, c.digest, nil
		}
		_, err := r.Registry.Head(ctx, c.digest)
		if err == nil {
			_, err = r.Signing.VerifyRecord(ctx, c.record, c.digest, r.Signing.Client.Attachments(c.digest).Verify)
		}
		switch {
		case err == nil:
			return c.record, c.digest, nil
		case !IsUnsigned(err) && !errors.Is(err, registry.ErrNotFound):
			return nil, c.digest, Explained(err)
		}
	}
	return nil, name.Digest{}, nil
}

// A candidate is a record that may have been signed for a release.
type candidate struct {
	record *Record
	digest name.Digest
}

// candidates returns the records of a release's images: for each REGISTRY[/NAMESPACE] that
// the record may name, one with the application document, and one without, as earlier
// versions of libre signed it.
func (r *Reader) candidates(ctx context.Context, rel *Release, images []*Image) ([]candidate, error) {
	prefixes, err := r.prefixes(rel)
	if err != nil {
		return nil, err
	}
	made, err := r.NewRecord(ctx, "", rel, images)
	if err != nil {
		return nil, err
	}
	before := *made
	before.Application = nil
	var all []candidate
	for _, record := range []Record{*made, before} {
		for _, prefix := range prefixes {
			record.Registry = prefix
			c, err := r.candidate(rel, record)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

func (r *Reader) candidate(rel *Release, record Record) (candidate, error) {
	artifact, err := record.Artifact()
	if err != nil {
		return candidate{}, err
	}
	digest, err := r.Registry.ArtifactDigest(rel.Ref(), artifact)
	return candidate{&record, digest}, err
}

// Recognise returns the record of a release's images if it has the digest that the
// release's tag points to and only its signature is missing. Otherwise it returns nil.
func (r *Reader) Recognise(ctx context.Context, rel *Release, images []*Image, shown name.Digest) (*Record, error) {
	candidates, err := r.candidates(ctx, rel, images)
	for _, c := range candidates {
		if c.digest.DigestStr() == shown.DigestStr() {
			return c.record, nil
		}
	}
	return nil, err
}

// movedRecord finds out whether the record's tag was moved, or points to other content or
// to an unsigned record of this release. named is the release that the record is signed as,
// if that is another one.
func (r *Reader) movedRecord(ctx context.Context, rel *Release, s Remote, named catalog.Ref) (Remote, error) {
	record, digest, err := r.findSigned(ctx, rel, s.Digest)
	if err != nil || record == nil && named == (catalog.Ref{}) {
		return s, err
	}
	tag := s.Digest.Context().Tag(rel.Ref().Tag)
	e := &MovedError{Reference: tag.String(), Shows: s.Digest.DigestStr(), Named: named}
	s.Former = "" // its layers are not known
	if s.Record = record; record != nil {
		e.Signed, e.By, s.Digest = digest.DigestStr(), signedThere, digest
	}
	s.setMoved(rel, e)
	return s, nil
}

// setMoved adds tags that were moved.
func (s *Remote) setMoved(rel *Release, all ...*MovedError) {
	s.State, s.Moved = Moved, append(s.Moved, all...)
	s.Err = MovedFault(s.Moved[0], rel.PutBack())
	s.Reason = s.Err.Error()
}

// movedImage returns an error with the digest that an image's tag should point to,
// according to the verified release record of the same version. It returns nil if no record
// names the image or the tag is right. It tries each way to split the image's name into
// app, component and variant.
func movedImage(ctx context.Context, client *registry.Client, signing *Signing, tag name.Tag, shows string) error {
	image := catalog.Ref{Repository: path.Base(tag.RepositoryStr()), Tag: tag.TagStr()}
	if _, _, isRelease := catalog.ParseTag(tag.TagStr()); !isRelease {
		return nil
	}
	words := strings.Split(path.Base(tag.RepositoryStr()), "-")
	for first := 1; first < len(words)-1; first++ {
		for last := first + 1; last < len(words); last++ {
			app, variant := strings.Join(words[:first], "-"), strings.Join(words[last:], "-")
			reference, err := client.Sibling(tag, catalog.Ref{Repository: app + "-" + variant, Tag: tag.TagStr()})
			if err != nil {
				continue
			}
			record, _, err := ShowRecord(ctx, client, signing, reference)
			if err != nil {
				continue
			}
			component := record.Components[strings.Join(words[first:last], "-")]
			if component == nil || component.Reference != image || component.Digest == shows {
				continue
			}
			return MovedFault(&MovedError{Reference: tag.String(), Shows: shows, Signed: component.Digest, By: recordNames}, putBackCommand(record.App, record.Variant))
		}
	}
	return nil
}

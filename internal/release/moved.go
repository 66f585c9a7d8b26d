package release

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

// MovedError says that somebody has pointed a tag of a release to something else
// than what was published under it.
type MovedError struct {
	Reference string      // of the tag, registry included
	Shows     string      // the digest that the tag points to now
	Named     catalog.Ref // what that is signed as; zero where it is not known to be another release
	Signed    string      // the digest that belongs there; "" where that is not known
	By        string      // what says so, such as "the release record names"
}

func (e *MovedError) Error() string {
	text := e.Reference + " was moved: it shows " + e.Shows
	if e.Named != (catalog.Ref{}) {
		text += ", which is signed as " + e.Named.String()
	}
	if e.Signed != "" {
		text += ", " + e.By + " " + e.Signed
	}
	return text
}

// moved is the error with what to do about it.
func moved(e *MovedError, putBack string) error {
	return &fault.Fault{Err: e, Fix: "this may be an attack: find out who pushed there, then put it back with: " + putBack}
}

// putBackCommand is the command that points tags to what was published, of one release.
func putBackCommand(app, variant string) string {
	return fmt.Sprintf("libre push --force '%s/*/%s'", app, variant)
}

func (r *variantRelease) putBack() string { return putBackCommand(r.app.Name, r.variant) }

const (
	recordNames = "the release record names"
	signedThere = "what was signed under it is"
)

// findSigned looks for the record that was signed for a release whose tag shows
// another one. Records are made alike each time, so it is where the release's images
// lead to. It is nil where that does not exist, is the one that is shown, or where
// its signature cannot be checked.
func (p *Publisher) findSigned(ctx context.Context, release *variantRelease, shown name.Digest) (*Record, name.Digest, error) {
	if p.Signing == nil {
		return nil, name.Digest{}, nil
	}
	var images []*publication
	for _, image := range release.images {
		found := &publication{target: image.target, app: image.app}
		tag, err := p.Registry.Tag(image.target.Ref)
		if err == nil {
			err = found.adopt(ctx, p, tag, false)
		}
		if err != nil || !found.adopted {
			return nil, name.Digest{}, err
		}
		images = append(images, found)
	}
	places, err := p.places(release)
	if err != nil {
		return nil, name.Digest{}, err
	}
	for _, of := range places {
		record, err := p.newRecord(ctx, of, release.app, release.variant, images)
		if err != nil {
			return nil, name.Digest{}, err
		}
		artifact, err := record.artifact()
		if err != nil {
			return nil, name.Digest{}, err
		}
		digest, err := p.Registry.ArtifactDigest(release.ref(), artifact)
		if err != nil || digest.DigestStr() == shown.DigestStr() {
			return nil, digest, err
		}
		_, err = p.Registry.Head(ctx, digest)
		if err == nil {
			_, err = p.Signing.verifyRecord(ctx, record, digest, p.Signing.Client.Verify)
		}
		switch {
		case err == nil:
			return record, digest, nil
		case !isUnsigned(err) && !errors.Is(err, registry.ErrNotFound):
			return nil, digest, explained(err)
		}
	}
	return nil, name.Digest{}, nil
}

// recognise finds out whether the record that a release's tag shows, and whose signature
// is gone, is the one that its images lead to: it is signed again then as it is.
func (p *Publisher) recognise(ctx context.Context, release *variantRelease) error {
	places, err := p.places(release)
	if err != nil {
		return err
	}
	for _, place := range places {
		record, err := p.newRecord(ctx, place, release.app, release.variant, release.images)
		if err != nil {
			return err
		}
		artifact, err := record.artifact()
		if err != nil {
			return err
		}
		digest, err := p.Registry.ArtifactDigest(release.ref(), artifact)
		if err != nil {
			return err
		}
		if digest.DigestStr() == release.there.digest.DigestStr() {
			release.place = &place
		}
	}
	return nil
}

// movedRecord tells a release whose record's tag was moved from one that has other
// content, or that was never signed. named is what the record that is shown is signed
// as, where that is another release.
func (p *Publisher) movedRecord(ctx context.Context, release *variantRelease, s standing, named catalog.Ref) (standing, error) {
	record, digest, err := p.findSigned(ctx, release, s.digest)
	if err != nil || record == nil && named == (catalog.Ref{}) {
		return s, err
	}
	tag := s.digest.Context().Tag(release.ref().Tag)
	e := &MovedError{Reference: tag.String(), Shows: s.digest.DigestStr(), Named: named}
	s.former = "" // what is shown is nothing to learn from
	if s.record = record; record != nil {
		e.Signed, e.By, s.digest = digest.DigestStr(), signedThere, digest
	}
	s.setMoved(release, e)
	return s, nil
}

// setMoved makes a standing of tags that were moved.
func (s *standing) setMoved(release *variantRelease, all ...*MovedError) {
	s.RemoteState, s.moved = WasMoved, append(s.moved, all...)
	s.err = moved(s.moved[0], release.putBack())
	s.reason = s.err.Error()
}

// movedImage finds what an image's tag should show, in the release record beside it
// that verifies; nil where there is none that names the image, or where it names what
// the tag shows. The name of an image does not tell which parts are the component.
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
			return moved(&MovedError{Reference: tag.String(), Shows: shows, Signed: component.Digest, By: recordNames}, putBackCommand(record.App, record.Variant))
		}
	}
	return nil
}

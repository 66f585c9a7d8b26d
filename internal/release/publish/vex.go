package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/vex"
)

// hasVEX sends no request: the attached documents were compared before.
func (i *imagePush) hasVEX(context.Context) (skip, error) {
	return i.has("its VEX documents", vex.Types...)
}

// attestVEX signs documents with the statements about the image's vulnerabilities, unless the
// newest documents have the same content. verify removes the former documents.
func (i *imagePush) attestVEX(ctx context.Context) error {
	published, err := i.say(ctx)
	if err != nil || published.IsEmpty() && !i.adopted {
		return err
	}
	former, err := i.formerVEX(ctx)
	if err != nil {
		return err
	}
	if former.openVEX.Count > 0 {
		if published.Former, err = vex.ReadOpenVEX(former.openVEX.Predicate); err != nil {
			return err
		}
	}
	if published.IsEmpty() {
		if former.isAny { // none of the documents can be read
			return detachVEX(ctx, i.publisher.signing(), map[string][]byte{vex.OpenVEXType: nil, vex.CycloneDXType: nil}, i.found.Subjects())
		}
		return nil
	}
	version := max(former.openVEX.Version, former.cycloneDX.Version, 1)
	documents, err := write(published, version)
	if err != nil {
		return err
	}
	if former.isAny && !former.are(documents) {
		version++
		if documents, err = write(published, version); err != nil {
			return err
		}
	}
	attacher, err := i.attacher()
	if err != nil {
		return err
	}
	subjects := i.found.Subjects()
	for _, kind := range vex.Types {
		if _, err := attacher.AttestLabelled(ctx, kind, state.Label(version, i.found.Said), documents[kind], subjects...); err != nil {
			return err
		}
	}
	if former.isAny {
		i.replacing = documents
	}
	return nil
}

// detachVEX removes all documents that we signed, except the given ones.
func detachVEX(ctx context.Context, signing *state.Signing, documents map[string][]byte, subjects []name.Digest) error {
	for kind, document := range documents {
		isNewest := func(s *sign.Statement) bool { return sameJSON(s.Predicate, document) }
		if err := signing.Client.Detach(ctx, signing.Policy, kind, isNewest, subjects...); err != nil {
			return err
		}
	}
	return nil
}

// detachFormer removes all documents that we signed, except the newest of each type, which all
// subjects have.
func detachFormer(ctx context.Context, signing *state.Signing, subjects []name.Digest) error {
	newest := map[string][]byte{}
	for _, kind := range vex.Types {
		document, err := state.AttestedVEX(ctx, signing, subjects[0], kind)
		if err != nil && !state.IsUnreadableVEX(err) {
			return err
		}
		if document.Count > 1 || err != nil {
			newest[kind] = document.Predicate
		}
	}
	return detachVEX(ctx, signing, newest, subjects)
}

// write returns both documents, by predicate type.
func write(published *vex.Published, version int) (map[string][]byte, error) {
	openVEX, err := published.OpenVEX(version)
	if err != nil {
		return nil, err
	}
	cycloneDX, err := published.CycloneDX(version)
	return map[string][]byte{vex.OpenVEXType: openVEX, vex.CycloneDXType: cycloneDX}, err
}

// formerVEX has the newest documents that are attached to any of the image's subjects, in any
// registry, because version numbers rise across all registries.
type formerVEX struct {
	openVEX, cycloneDX state.VEX
	isAny              bool
}

// are reports whether documents are the newest ones.
func (f formerVEX) are(documents map[string][]byte) bool {
	return sameJSON(f.openVEX.Predicate, documents[vex.OpenVEXType]) && sameJSON(f.cycloneDX.Predicate, documents[vex.CycloneDXType])
}

func (i *imagePush) formerVEX(ctx context.Context) (formerVEX, error) {
	var former formerVEX
	for _, subject := range i.found.Subjects() {
		if err := former.look(ctx, i.publisher.signing(), subject); err != nil {
			return former, err
		}
	}
	for _, to := range i.publisher.Reader.CopyTo {
		tag, err := to.Tag(i.target.Ref)
		if err != nil {
			return former, err
		}
		if err := former.look(ctx, i.publisher.signing(), tag.Context().Digest(i.found.Subject.DigestStr())); err != nil {
			i.publisher.warn(i.target.ID, "reading VEX documents in "+to.String()+": "+err.Error())
		}
	}
	return former, nil
}

func (f *formerVEX) look(ctx context.Context, signing *state.Signing, subject name.Digest) error {
	for kind, newest := range map[string]*state.VEX{vex.OpenVEXType: &f.openVEX, vex.CycloneDXType: &f.cycloneDX} {
		found, err := state.AttestedVEX(ctx, signing, subject, kind)
		if err != nil && !state.IsUnreadableVEX(err) {
			return err
		}
		f.isAny = f.isAny || found.Count > 0 || err != nil
		if found.Version > newest.Version {
			*newest = found
		}
	}
	return nil
}

// say collects the statements about the image on each platform.
func (i *imagePush) say(ctx context.Context) (*vex.Published, error) {
	p := i.publisher
	published := &vex.Published{
		Name: i.target.ID.Name(), Tag: i.target.Ref.Tag, Places: p.Reader.Places(),
		Index: i.found.Index.Digest, Said: i.found.Said,
	}
	for n, manifest := range i.found.Manifests {
		document := i.documents[n]
		if document == nil {
			var err error
			if document, err = state.AttestedSBOM(ctx, p.signing(), i.found.Subject.Context().Digest(manifest.Digest.String())); err != nil {
				return nil, err
			}
		}
		answers, err := i.answers(document)
		if err != nil {
			return nil, err
		}
		published.Platforms = append(published.Platforms, vex.Platform{SBOM: document, Answers: answers})
	}
	i.warnAbsent(published)
	return published, nil
}

// answers returns the statements about the image on the platform that an SBOM describes.
func (i *imagePush) answers(document *sbom.Document) (*vex.Answers, error) {
	return vex.For(vex.Image{
		ID: i.target.ID, Version: i.rel.App.Version, Changes: vex.ChangesOf(i.rel.App, i.target.ID.Variant), SBOM: document,
	}, i.rel.Stated)
}

// warnAbsent warns about statements whose package is in no platform's image.
func (i *imagePush) warnAbsent(published *vex.Published) {
	for _, s := range published.Platforms[0].Answers.Absent {
		isAbsent := func(p vex.Platform) bool {
			return slices.ContainsFunc(p.Answers.Absent, func(other vex.Statement) bool {
				return other.Place == s.Place && other.Vulnerability == s.Vulnerability
			})
		}
		if !slices.ContainsFunc(published.Platforms, func(p vex.Platform) bool { return !isAbsent(p) }) {
			i.publisher.warn(i.target.ID, fmt.Sprintf("%s: the image does not contain %s, so the statement about %s has no effect", s.Place, s.Package, s.Vulnerability))
		}
	}
}

// sameJSON compares documents without white space, which signing removes.
func sameJSON(a, b []byte) bool {
	var compactA, compactB bytes.Buffer
	return json.Compact(&compactA, a) == nil && json.Compact(&compactB, b) == nil && bytes.Equal(compactA.Bytes(), compactB.Bytes())
}

package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/vex"
	"github.com/libresh/libre/internal/withdrawn"
)

// lacking returns the subjects that lack a kind of attachment. manifest is the index of the
// manifest for an SBOM, and -1 for other kinds.
func (i *imagePush) lacking(kind string, manifest int) []name.Digest {
	var subjects []name.Digest
	for _, g := range i.gaps {
		if g.Kind == kind && g.Manifest == manifest {
			subjects = append(subjects, g.Subject)
		}
	}
	return subjects
}

// has returns a skip if no attachment of the kinds is missing.
func (i *imagePush) has(what string, kinds ...string) (skip, error) {
	switch {
	case i.publisher.signing() == nil:
		return notSigned, nil
	case !slices.ContainsFunc(i.gaps, func(g state.Gap) bool { return slices.Contains(kinds, g.Kind) }):
		return skip("it has " + what), nil
	}
	return "", nil
}

func (i *imagePush) isGathered(ctx context.Context) (skip, error) {
	if !i.adopted {
		return "it is new", nil
	}
	return i.hasAll(ctx)
}

func (i *imagePush) hasAll(context.Context) (skip, error) {
	switch {
	case i.publisher.signing() == nil:
		return notSigned, nil
	case len(i.gaps) == 0:
		return "it has all attachments", nil
	}
	return "", nil
}

// gather copies missing attachments from other places that have them, byte for byte. An
// attachment of the index is also about its children, and vice versa, and copies in other
// registries have the attachments too. VEX documents and statements of withdrawn releases are
// written again, because copies may have older ones.
func (i *imagePush) gather(ctx context.Context) error {
	p := i.publisher
	subjects := i.found.Subjects()
	from := [][]name.Digest{subjects}
	for _, to := range p.Reader.CopyTo {
		tag, err := to.Tag(i.target.Ref)
		if err != nil {
			return err
		}
		var copies []name.Digest
		for _, subject := range subjects {
			copies = append(copies, tag.Context().Digest(subject.DigestStr()))
		}
		from = append(from, copies)
	}
	for n, from := range from {
		if _, err := p.signing().Client.Copy(ctx, p.signing().Policy, from, subjects, append([]string{withdrawn.PredicateType}, vex.Types...)...); err != nil {
			if n > 0 {
				p.warn(i.target.ID, "reading attachments in "+p.Reader.CopyTo[n-1].String()+": "+state.Explained(err).Error())
				continue
			}
			return err
		}
		var err error
		if i.gaps, err = p.Reader.Gaps(ctx, i.found); err != nil || len(i.gaps) == 0 {
			return err
		}
	}
	return nil
}

func (i *imagePush) hasSBOMs(context.Context) (skip, error) {
	return i.has("its SBOMs", state.CycloneDXType, state.SPDXType)
}

func (i *imagePush) attestSBOMs(ctx context.Context) error {
	for n := range i.found.Manifests {
		if !slices.ContainsFunc(i.gaps, func(g state.Gap) bool { return g.Manifest == n }) {
			continue
		}
		document, err := i.document(ctx, n)
		if err != nil {
			return err
		}
		documents, err := encodeSBOM(document)
		if err != nil {
			return err
		}
		attacher, err := i.attacher()
		if err != nil {
			return err
		}
		for _, kind := range []string{state.CycloneDXType, state.SPDXType} {
			if subjects := i.lacking(kind, n); len(subjects) > 0 {
				if _, err := attacher.Attest(ctx, kind, documents[kind], subjects...); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// prepareSBOMs asks Nix one question about the images of all releases that this run describes. Call
// done after that.
func (p *Publisher) prepareSBOMs(ctx context.Context, releases []*releasePush) (done func()) {
	attaches := p.signing() != nil && !p.DryRun
	var specs []*catalog.Spec
	for _, r := range releases {
		if r.outcome != nil {
			continue
		}
		for _, image := range r.images {
			lacks := slices.ContainsFunc(image.gaps, func(g state.Gap) bool { return g.Manifest >= 0 })
			isNew := !image.adopted && image.failure == nil
			if image.selected && (isNew && (attaches || p.Inspect != nil) || lacks && attaches) {
				specs = append(specs, image.target.Specs...)
			}
		}
	}
	return p.Builder.Prepare(ctx, specs)
}

// encodeSBOM writes an SBOM in both formats, by predicate type.
func encodeSBOM(document *sbom.Document) (map[string]json.RawMessage, error) {
	cyclonedx, spdx, err := document.Encode()
	return map[string]json.RawMessage{state.CycloneDXType: cyclonedx, state.SPDXType: spdx}, err
}

// document returns the SBOM of one platform's image. A run makes it only once.
func (i *imagePush) document(ctx context.Context, n int) (*sbom.Document, error) {
	if i.documents[n] != nil {
		return i.documents[n], nil
	}
	document, err := i.newDocument(ctx, n)
	if err != nil {
		return nil, err
	}
	if i.documents == nil {
		i.documents = map[int]*sbom.Document{}
	}
	i.documents[n] = document
	return document, nil
}

// newDocument makes the SBOM of one platform's image. If the layout lacks files, it reads them
// from the registry instead of building the image again.
func (i *imagePush) newDocument(ctx context.Context, n int) (*sbom.Document, error) {
	p := i.publisher
	manifest := i.found.Manifests[n]
	dist, err := p.layout()
	if i.target.Reproducible() || err == nil && dist.Content(manifest).Complete {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		return i.describe(ctx, p.Reader.Output, n)
	}
	dir, err := os.MkdirTemp("", "libre-published-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	dist, err = layout.Create(ctx, dir, nil)
	if err != nil {
		return nil, err
	}
	defer dist.Close()
	err = dist.Fetch(ctx, layout.Source{Descriptor: manifest, Open: func(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
		return p.registry().Open(ctx, i.found.Subject.Context(), d)
	}})
	if err != nil {
		return nil, err
	}
	return i.describe(ctx, dir, n)
}

// describe makes the SBOM of one platform's image in the layout in dir.
func (i *imagePush) describe(ctx context.Context, dir string, n int) (*sbom.Document, error) {
	p := i.publisher
	former, err := i.formerSBOMs(ctx, dir, i.found.Manifests[n])
	if err != nil {
		return nil, err
	}
	info, err := p.BuildInfo()
	if err != nil {
		return nil, err
	}
	return p.Builder.SBOM(ctx, dir, i.target, i.found.Index, i.found.Manifests[n], info.Libre, former...)
}

// formerSBOMs returns the attested SBOMs of the previously published image if layers of it were
// not written again, because the files in these layers then need not be read. Otherwise it
// returns none, to save requests.
func (i *imagePush) formerSBOMs(ctx context.Context, dir string, manifest v1.Descriptor) ([]*sbom.Document, error) {
	former, ok := i.former[manifest.Platform.String()]
	if !ok {
		return nil, nil
	}
	dist, err := layout.Open(dir)
	if err != nil || dist.Content(manifest).Complete {
		return nil, err
	}
	signing := i.publisher.signing()
	statements, err := signing.Client.Attachments(former).VerifyAttestations(ctx, state.CycloneDXType, signing.Policy)
	if err != nil && !errors.Is(err, sign.ErrNotAttached) {
		i.publisher.warn(i.target.ID, "cannot read the former SBOM, so all files are read: "+err.Error())
	}
	var documents []*sbom.Document
	for _, statement := range statements {
		document, err := sbom.Read(statement.Predicate)
		if err == nil && document.Subject.Manifest.String() == former.DigestStr() {
			documents = append(documents, document)
		}
	}
	return documents, nil
}

func (i *imagePush) hasProvenance(context.Context) (skip, error) {
	return i.has("its provenance", state.ProvenanceType)
}

func (i *imagePush) attestProvenance(ctx context.Context) error {
	attacher, err := i.attacher()
	if err != nil {
		return err
	}
	info, err := i.publisher.BuildInfo()
	if err != nil {
		return err
	}
	predicate, err := provenance(i.rel.App, i.found, info)
	if err != nil {
		return err
	}
	_, err = attacher.Attest(ctx, state.ProvenanceType, predicate, i.lacking(state.ProvenanceType, -1)...)
	return err
}

func (i *imagePush) isSigned(context.Context) (skip, error) {
	return i.has("its signature", sign.SignatureType)
}

// sign signs the index and its children if they lack a signature.
func (i *imagePush) sign(ctx context.Context) error {
	attacher, err := i.attacher()
	if err == nil {
		_, err = attacher.Sign(ctx, i.found.Subjects()...)
	}
	return err
}

// attach writes what the steps before have signed.
func (i *imagePush) attach(ctx context.Context) error {
	if i.attaching == nil {
		return nil
	}
	return i.attaching.Write(ctx)
}

// verify reads all attachments back, as a consumer would. Without the referrers API,
// attachments are in one list, which concurrent runs may overwrite: verify attaches what is
// missing. Then it removes the VEX documents that new ones replace.
func (i *imagePush) verify(ctx context.Context) error {
	if i.attaching != nil {
		if err := i.attaching.Confirm(ctx); err != nil {
			return err
		}
	}
	if i.replacing != nil {
		if err := detachVEX(ctx, i.publisher.signing(), i.replacing, i.found.Subjects()); err != nil {
			return err
		}
	}
	if !i.adopted {
		i.gaps = nil
		return nil
	}
	var err error
	if i.gaps, err = i.publisher.Reader.Gaps(ctx, i.found); err != nil {
		return err
	}
	if len(i.gaps) > 0 {
		return fmt.Errorf("%s still lacks %s", i.gaps[0].Subject, state.Kinds(i.gaps))
	}
	return nil
}

// attacher returns the attacher that an image's steps share.
func (i *imagePush) attacher() (*sign.Attacher, error) {
	if i.attaching == nil {
		signing := i.publisher.signing()
		signer, err := signing.Signer()
		if err != nil {
			return nil, err
		}
		i.attaching = signing.Client.Attacher(signer)
	}
	return i.attaching, nil
}

// mend attaches the missing attachments of a published release.
func (p *Publisher) mend(ctx context.Context, r *releasePush, slots release.Slots) []Result {
	results := p.unchanged(r)
	state.InParallel(len(r.images), r.images, func(n int, image *imagePush) {
		result := &results[n]
		lost := state.Kinds(image.gaps)
		switch {
		case lost == "":
			return
		case !image.selected:
			result.Reason = "it lacks " + lost + ", and is not selected"
			return
		}
		free, err := slots.Take(ctx, image.waits)
		if err != nil {
			result.State, result.Err = state.Failed, &release.Failure{Step: "attach", Err: err}
			return
		}
		defer free()
		if err := image.run(ctx, image.steps()); err != nil {
			result.State, result.Err = state.Failed, err
			return
		}
		if result.State, result.Reason = p.made(state.Attached), lost; p.DryRun {
			result.Reason = "would be attached again: " + lost
		}
	})
	return results
}

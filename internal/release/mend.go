package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/sign"
)

// A gap is what is gone of what was attached to a subject.
type gap struct {
	kind     string
	manifest int // which the SBOM is of; -1 for another kind
	subject  name.Digest
}

// mendSteps are what is done for a published image that has gaps: each attaches what the
// ones before did not find.
var mendSteps = []imageStep{
	{"attach", (*publication).gather},
	{"sbom", (*publication).mendSBOMs},
	{"provenance", (*publication).mendProvenance},
	{"sign", (*publication).mendSignature},
	{"verify", (*publication).verifyMended},
}

// findGaps reads what the index and its children carry, and finds what is not there, or
// not ours.
func (i *publication) findGaps(ctx context.Context, p *Publisher) error {
	i.gaps = nil
	if p.Signing == nil {
		return nil
	}
	for n, subject := range i.subjects() {
		view := p.Signing.Client.Attachments(subject)
		if _, err := view.Verify(ctx, p.Signing.Policy); isUnsigned(err) {
			i.gaps = append(i.gaps, gap{sign.SignatureType, -1, subject})
		} else if err != nil {
			return explained(err)
		}
		for _, attestation := range attestationTypes {
			statements, err := attested(ctx, p.Signing, view, subject, attestation.predicate)
			if err != nil && !isUnsigned(err) {
				return explained(err)
			}
			if attestation.predicate == ProvenanceType {
				if len(statements) == 0 {
					i.gaps = append(i.gaps, gap{ProvenanceType, -1, subject})
				}
				continue
			}
			// The index has the SBOMs of all its children.
			for m, manifest := range i.manifests {
				if (n == 0 || n == m+1) && !slices.ContainsFunc(statements, func(s sign.Statement) bool { return slices.Contains(s.Subjects, manifest.Digest) }) {
					i.gaps = append(i.gaps, gap{attestation.predicate, m, subject})
				}
			}
		}
	}
	return nil
}

// isOurs tells whether something that is attached to the index says that we made it.
func (i *publication) isOurs(ctx context.Context, p *Publisher) (bool, error) {
	view := p.Signing.Client.Attachments(i.subject)
	_, err := view.Verify(ctx, p.Signing.Policy)
	if isUnsigned(err) {
		_, err = attested(ctx, p.Signing, view, i.subject, ProvenanceType)
	}
	if isUnsigned(err) {
		return false, nil
	}
	return err == nil, explained(err)
}

// kinds are what the gaps lack, in words.
func kinds(gaps []gap) string {
	var names []string
	for _, g := range gaps {
		if name := kindName(g.kind); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// gather attaches what is said of the image somewhere, byte for byte: what its index
// carries names its children too, and the other way round, and the copies in other
// registries have it all.
func (i *publication) gather(ctx context.Context, p *Publisher) error {
	if p.DryRun {
		return nil
	}
	subjects := i.subjects()
	from := [][]name.Digest{subjects}
	for _, to := range p.CopyTo {
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
		if _, err := p.Signing.Client.Copy(ctx, p.Signing.Policy, from, subjects); err != nil {
			if n > 0 {
				p.Watcher.Warn(i.target.ID, "looking for what is attached in "+p.CopyTo[n-1].String()+": "+explained(err).Error())
				continue
			}
			return err
		}
		if err := i.findGaps(ctx, p); err != nil || len(i.gaps) == 0 {
			return err
		}
	}
	return nil
}

// lacking are the subjects that lack a kind.
func (i *publication) lacking(kind string, manifest int) []name.Digest {
	var subjects []name.Digest
	for _, g := range i.gaps {
		if g.kind == kind && g.manifest == manifest {
			subjects = append(subjects, g.subject)
		}
	}
	return subjects
}

func (i *publication) mendSBOMs(ctx context.Context, p *Publisher) error {
	for n := range i.manifests {
		if p.DryRun || !slices.ContainsFunc(i.gaps, func(g gap) bool { return g.manifest == n }) {
			continue
		}
		documents, err := i.publishedSBOMs(ctx, p, n)
		if err != nil {
			return err
		}
		attacher, err := i.attacher(p)
		if err != nil {
			return err
		}
		for _, kind := range []string{CycloneDXType, SPDXType} {
			if subjects := i.lacking(kind, n); len(subjects) > 0 {
				if _, err := attacher.Attest(ctx, kind, documents[kind], subjects...); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// publishedSBOMs are the SBOMs of one platform's image, whose files are read from the
// registry where the layout lacks them: the image is not built again.
func (i *publication) publishedSBOMs(ctx context.Context, p *Publisher, n int) (map[string]json.RawMessage, error) {
	manifest := i.manifests[n]
	from := *p
	dist, err := layout.Open(p.Output)
	if !i.target.reproducible() && (err != nil || !dist.Content(manifest).Complete) {
		dir, err := os.MkdirTemp("", "libre-published-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		dist, err := layout.Create(ctx, dir, nil)
		if err != nil {
			return nil, err
		}
		defer dist.Close()
		err = dist.Fetch(ctx, layout.Source{Descriptor: manifest, Open: func(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
			return p.Registry.Open(ctx, i.subject.Context(), d)
		}})
		if err != nil {
			return nil, err
		}
		builder := *p.Builder
		builder.Output = dir
		from.Builder = &builder
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return from.sboms(ctx, i, n)
}

func (i *publication) mendProvenance(ctx context.Context, p *Publisher) error {
	subjects := i.lacking(ProvenanceType, -1)
	if p.DryRun || len(subjects) == 0 {
		return nil
	}
	return i.attestProvenance(ctx, p, subjects...)
}

func (i *publication) mendSignature(ctx context.Context, p *Publisher) error {
	if len(i.lacking(sign.SignatureType, -1)) == 0 {
		return nil
	}
	return i.sign(ctx, p) // to those that lack it
}

// verifyMended reads back all that the image is to carry, as a consumer would.
func (i *publication) verifyMended(ctx context.Context, p *Publisher) error {
	if p.DryRun {
		return nil
	}
	if i.attaching != nil {
		if err := i.attaching.Confirm(ctx); err != nil {
			return err
		}
	}
	if err := i.findGaps(ctx, p); err != nil {
		return err
	}
	if len(i.gaps) > 0 {
		return fmt.Errorf("%s still lacks %s", i.gaps[0].subject, kinds(i.gaps))
	}
	return nil
}

// mend attaches what is gone of what was attached to a release that is published.
func (p *Publisher) mend(ctx context.Context, release *variantRelease, room chan struct{}) []Published {
	results := release.there.published(p, release)
	inParallel(len(release.images), release.images, func(n int, image *publication) {
		result := &results[n]
		lost := kinds(image.gaps)
		switch {
		case lost == "":
			return
		case !image.selected:
			result.Reason = "it lacks " + lost + ", and is not selected"
			return
		}
		room <- struct{}{}
		defer func() { <-room }()
		if err := image.run(ctx, p, mendSteps); err != nil {
			result.State, result.Err = PublishFailed, err
			return
		}
		if result.State, result.Reason = Attached, lost; p.DryRun {
			result.State, result.Reason = WouldBe, "would be attached again: "+lost
		}
	})
	return results
}

package state

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/vex"
)

// Predicate types of the attestations of an image.
const (
	CycloneDXType  = "https://cyclonedx.org/bom"
	SPDXType       = "https://spdx.dev/Document"
	ProvenanceType = "https://slsa.dev/provenance/v1"
)

// attestationTypes lists the attestations that every image has.
var attestationTypes = []struct{ name, predicate string }{
	{"sbom cyclonedx", CycloneDXType},
	{"sbom spdx", SPDXType},
	{"provenance", ProvenanceType},
}

// kindName returns the name of a kind of attachment.
func kindName(kind string) string {
	switch kind {
	case vex.OpenVEXType:
		return "vex openvex"
	case vex.CycloneDXType:
		return "vex cyclonedx"
	}
	for _, attestation := range attestationTypes {
		if attestation.predicate == kind {
			return attestation.name
		}
	}
	return "signature"
}

// missing returns the first kind that was not checked.
func missing(checks []string) string {
	for _, attestation := range attestationTypes {
		if len(checks) > 0 && !slices.Contains(checks, attestation.name) {
			return attestation.name
		}
	}
	return kindName(sign.SignatureType)
}

// VerifyImage verifies the signature, SBOMs and provenance of a digest. It returns the
// names of the checks that passed, and the signature.
func VerifyImage(ctx context.Context, signing *Signing, subject name.Digest) ([]string, *sign.Signature, error) {
	return verifyAttachments(ctx, signing, signing.Client.Attachments(subject), subject)
}

func verifyAttachments(ctx context.Context, signing *Signing, view *sign.Attachments, subject name.Digest) ([]string, *sign.Signature, error) {
	signature, err := view.Verify(ctx, signing.Policy)
	if err != nil {
		return nil, nil, Explained(err)
	}
	checks := []string{"signature"}
	for _, attestation := range attestationTypes {
		if _, err := attested(ctx, signing, view, subject, attestation.predicate); err != nil {
			return checks, signature, fmt.Errorf("%s: %w", attestation.name, Explained(err))
		}
		checks = append(checks, attestation.name)
	}
	return checks, signature, nil
}

// attested returns the verified statements of a type about a digest, at least one. A
// statement about an image with another name counts as not signed.
func attested(ctx context.Context, signing *Signing, view *sign.Attachments, subject name.Digest, kind string) ([]sign.Statement, error) {
	statements, err := view.VerifyAttestations(ctx, kind, signing.Policy)
	if err != nil {
		return nil, err
	}
	image := path.Base(subject.Context().RepositoryStr())
	var reasons []error
	statements = slices.DeleteFunc(statements, func(s sign.Statement) bool {
		of := describes(kind, s.Predicate)
		if of != image {
			reasons = append(reasons, fmt.Errorf("it describes %q, not %s", of, image))
		}
		return of != image
	})
	if len(statements) == 0 {
		return nil, &sign.InvalidError{Digest: subject, Type: kind, Reasons: reasons}
	}
	return statements, nil
}

// describes returns the name of the image that a predicate is about, or "" if it names
// none.
func describes(kind string, predicate []byte) string {
	var read struct {
		Name     string `json:"name"` // SPDX
		Metadata struct {
			Component struct {
				Name string `json:"name"`
			} `json:"component"`
		} `json:"metadata"` // CycloneDX
		Build struct {
			External struct {
				Image string `json:"image"`
			} `json:"externalParameters"`
		} `json:"buildDefinition"` // provenance
	}
	if json.Unmarshal(predicate, &read) != nil {
		return ""
	}
	switch kind {
	case CycloneDXType:
		return read.Metadata.Component.Name
	case SPDXType:
		return read.Name
	}
	return strings.ReplaceAll(read.Build.External.Image, "/", "-")
}

// Lacking lists the missing attachments of a published image, of its manifest for one
// platform, or of a release record.
type Lacking struct {
	Reference string      // the tag, with its registry
	Digest    name.Digest // of the image, manifest or record
	Platform  string      // "" for an image's index or a record
	Kinds     []string    // signature, sbom cyclonedx, sbom spdx, provenance, vex openvex, vex cyclonedx

	ofRecord  bool
	documents map[string]int // by kind, the VEX documents that the list has
}

// lacksText describes missing attachments: the first in full, and the number of others.
func lacksText(all []Lacking) string {
	text := all[0].String()
	if more := len(all) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more of its images and manifests lack attachments", more)
	}
	return text
}

func (l Lacking) String() string {
	kinds := slices.Clone(l.Kinds)
	for i, kind := range kinds {
		if l.documents[kind] > 0 {
			kinds[i] = "up-to-date " + kind // the one that is there says something else
		}
	}
	if l.Platform != "" {
		return fmt.Sprintf("%s (%s) lacks %s", l.Reference, l.Platform, strings.Join(kinds, ", "))
	}
	return fmt.Sprintf("%s lacks %s", l.Reference, strings.Join(kinds, ", "))
}

// lacksDeep returns what sign.Client.Missing returns, but reads and verifies all
// attachments.
func (r *Reader) lacksDeep(ctx context.Context, subject name.Digest, policy *sign.Policy, wanted ...sign.Wanted) ([]string, error) {
	view := r.Signing.Client.Attachments(subject)
	var lacks []string
	for _, want := range wanted {
		has := want.Times
		var err error
		if want.Kind == sign.SignatureType {
			_, err = view.Verify(ctx, policy)
		} else if want.Is != nil {
			var newest VEX
			newest, err = newestVEX(ctx, r.Signing, view, subject, want.Kind)
			if err == nil && !want.Is(newest.labels()) {
				has = -1
			}
		} else {
			var statements []sign.Statement
			statements, err = attested(ctx, r.Signing, view, subject, want.Kind)
			has = len(statements)
		}
		if err != nil && !IsUnsigned(err) && !IsUnreadableVEX(err) {
			return nil, err
		}
		if err != nil || has < want.Times {
			lacks = append(lacks, want.Kind)
		}
	}
	return lacks, nil
}

// lookAttached finds the missing attachments of a release's images in a registry, with one
// request for each image and each platform, in parallel. A VEX document is missing if the
// newest one differs from the catalogue's statements. The record may come from another
// catalogue, so images that this catalogue does not have are left out. twice describes the
// images that have several VEX documents. If the reader is trusting, it looks only at images with
// statements, because a record says nothing of those.
func (r *Reader) lookAttached(ctx context.Context, in *registry.Client, rel *Release, record *Record) (lacks []Lacking, twice []string, err error) {
	if r.Signing == nil {
		return nil, nil, nil
	}
	var all []Lacking
	var wanted [][]sign.Wanted
	var says []string
	for _, target := range rel.Targets {
		said, err := r.Said(rel, target)
		if err != nil {
			return nil, nil, err
		}
		component := record.Components[target.ID.Component]
		if component == nil || r.Trusting && said == "" {
			continue
		}
		tag, err := in.Tag(component.Reference)
		if err != nil {
			return nil, nil, err
		}
		add := func(digest, platform string, documents int) {
			all = append(all, Lacking{Reference: tag.String(), Digest: tag.Context().Digest(digest), Platform: platform})
			wanted = append(wanted, []sign.Wanted{
				{Kind: sign.SignatureType, Times: 1}, {Kind: CycloneDXType, Times: documents},
				{Kind: SPDXType, Times: documents}, {Kind: ProvenanceType, Times: 1},
			})
			says = append(says, said)
		}
		add(component.Digest, "", len(target.Specs))
		for _, spec := range target.Specs {
			if platform, err := catalog.Platform(spec.System); err == nil && component.Systems[platform] != "" {
				add(component.Systems[platform], platform, 1)
			}
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for i := range all {
		group.Go(func() error {
			for _, kind := range vex.Types {
				wanted[i] = append(wanted[i], wantVEX(kind, says[i], &all[i]))
			}
			look := r.Signing.Client.Missing
			if r.Deep {
				look = r.lacksDeep
			}
			kinds, err := look(ctx, all[i].Digest, r.Signing.Policy, wanted[i]...)
			for _, kind := range kinds {
				all[i].Kinds = append(all[i].Kinds, kindName(kind))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, Explained(err)
	}
	for _, one := range all {
		if n := max(one.documents[kindName(vex.OpenVEXType)], one.documents[kindName(vex.CycloneDXType)]); n > 1 && one.Platform == "" {
			twice = append(twice, fmt.Sprintf("%s has %d VEX documents of a type: the newest counts, and the registry does not delete the former", one.Reference, n))
		}
	}
	return slices.DeleteFunc(all, func(l Lacking) bool { return len(l.Kinds) == 0 }), twice, nil
}

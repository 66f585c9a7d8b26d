package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
)

// Verified is what was checked of one image or release record.
type Verified struct {
	Reference string // as it was asked for, or tagged
	Digest    name.Digest
	Kind      string // image or release
	Checks    []string
	Command   string // with which cosign checks the signature
	Err       error
}

// attestationTypes are what every image of ours carries.
var attestationTypes = []struct{ name, predicate string }{
	{"sbom cyclonedx", CycloneDXType},
	{"sbom spdx", SPDXType},
	{"provenance", ProvenanceType},
}

// verifyImage checks signature, SBOMs and provenance of a digest.
func verifyImage(ctx context.Context, signing *Signing, subject name.Digest) ([]string, error) {
	view := signing.Client.View(subject)
	if _, err := view.Verify(ctx, signing.Policy); err != nil {
		return nil, explained(err)
	}
	checks := []string{"signature"}
	for _, attestation := range attestationTypes {
		if _, err := view.VerifyAttestations(ctx, attestation.predicate, signing.Policy); err != nil {
			return checks, fmt.Errorf("%s: %w", attestation.name, explained(err))
		}
		checks = append(checks, attestation.name)
	}
	return checks, nil
}

// VerifyReference checks what a reference names: an image, or a release record
// and all its images and their tags.
func VerifyReference(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference, keyFile string) []Verified {
	failed := func(err error) []Verified { return []Verified{{Reference: reference.String(), Err: err}} }
	got, err := client.Get(ctx, reference)
	if err != nil {
		return failed(err)
	}
	record, digest, err := decodeRecord(ctx, client, reference, got)
	var all []Verified
	switch {
	case err == nil:
		all = verifyRecord(ctx, client, signing, reference, record, digest, keyFile)
	case errors.Is(err, errNoRecord):
		all = []Verified{verifyOne(ctx, signing, reference.String(), digest, keyFile)}
	default:
		return failed(err)
	}
	if all[0].Err == nil {
		all[0].Err = checkName(reference, got.Content)
	}
	return all
}

// checkName compares a reference with the name and version that the signed
// manifest has: who may push may also put an old image under a new tag.
func checkName(reference name.Reference, manifest []byte) error {
	var read struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(manifest, &read); err != nil {
		return fmt.Errorf("reading %s: %w", reference, err)
	}
	title, version := read.Annotations[ociPrefix+"title"], read.Annotations[ociPrefix+"version"]
	if path.Base(reference.Context().RepositoryStr()) != title {
		return fmt.Errorf("%s is signed as %s:%s", reference, title, version)
	}
	tag, ok := reference.(name.Tag)
	if !ok {
		return nil
	}
	appVersion, _, _ := catalog.ParseTag(version)
	_, _, immutable := catalog.ParseTag(tag.TagStr())
	if immutable && tag.TagStr() != version || catalog.LooksLikeVersion(tag.TagStr()) && !strings.HasPrefix(appVersion+".", tag.TagStr()+".") {
		return fmt.Errorf("%s is signed as %s:%s", reference, title, version)
	}
	return nil
}

func verifyOne(ctx context.Context, signing *Signing, reference string, digest name.Digest, keyFile string) Verified {
	v := Verified{Reference: reference, Digest: digest, Kind: "image"}
	v.Checks, v.Err = verifyImage(ctx, signing, digest)
	v.Command = signing.Policy.CosignCommand(digest, sign.SignatureType, keyFile)
	return v
}

// verifyRecord checks a record, then each image that it names, whose tag must
// point to the digest in it.
func verifyRecord(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference, record *Record, digest name.Digest, keyFile string) []Verified {
	release := Verified{Reference: reference.String(), Digest: digest, Kind: "release", Checks: []string{"signature"}}
	_, err := signing.Client.Verify(ctx, digest, signing.Policy)
	release.Err = explained(err)
	release.Command = signing.Policy.CosignCommand(digest, sign.SignatureType, keyFile)
	all := []Verified{release}
	if release.Err != nil {
		return all // what it names is anybody's word
	}
	for _, component := range record.components() {
		entry := record.Components[component]
		tag, err := client.Sibling(reference, entry.Reference)
		if err != nil {
			all = append(all, Verified{Reference: entry.Reference, Err: err})
			continue
		}
		image := verifyOne(ctx, signing, tag.String(), tag.Context().Digest(entry.Digest), keyFile)
		if image.Err == nil {
			head, err := client.HeadAt(ctx, tag, entry.Digest)
			switch {
			case err != nil:
				image.Err = err
			case head.Digest.String() != entry.Digest:
				image.Err = fmt.Errorf("the tag points to %s, the release record names %s", head.Digest, entry.Digest)
			default:
				image.Checks = append(image.Checks, "tag")
			}
		}
		all = append(all, image)
	}
	return all
}

// ShowRecord reads a record, and verifies it before anything of it is believed.
func ShowRecord(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference) (*Record, error) {
	got, err := client.Get(ctx, reference)
	if err != nil {
		return nil, err
	}
	record, digest, err := decodeRecord(ctx, client, reference, got)
	if err != nil {
		return nil, err
	}
	if _, err := signing.Client.Verify(ctx, digest, signing.Policy); err != nil {
		return nil, explained(err)
	}
	return record, checkName(reference, got.Content)
}

// NotPublishedYet is the state of a release that has no record.
const NotPublishedYet = "not published"

// Status is what is published of one release.
type Status struct {
	Name   string // app/variant
	Tag    string // that the catalogue has now
	State  string // a Standing, NotPublishedYet, or: not valid, broken, unknown
	Digest name.Digest
	Reason string
}

// Status looks at the record of each selected release. deep verifies every
// attachment of every image too.
func (p *Publisher) Status(ctx context.Context, request nix.Request, deep bool) ([]Status, error) {
	releases, evaluation, err := p.releases(ctx, request)
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		all = append(all, Status{Name: app, State: "broken", Reason: evaluation.Failures[app].Error()})
	}
	for _, release := range releases {
		status := Status{Name: release.name(), Tag: release.refName()}
		there, err := p.look(ctx, release)
		switch {
		case fault.Is(err, fault.Credentials):
			return all, err
		case err != nil:
			status.State, status.Reason = "unknown", err.Error()
		case there.Standing == IsNew:
			status.State = NotPublishedYet
		default:
			status.State, status.Reason, status.Digest = string(there.Standing), there.reason, there.digest
		}
		if deep && err == nil && there.Standing == AsWanted && p.Signing != nil {
			tag, _ := p.Registry.Tag(release.refName()) // looked at before
			for _, verified := range VerifyReference(ctx, p.Registry, p.Signing, tag, "") {
				if verified.Err != nil {
					status.State, status.Reason = "not valid", verified.Reference+": "+verified.Err.Error()
				}
			}
		}
		all = append(all, status)
	}
	return all, nil
}

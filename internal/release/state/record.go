package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
)

// RecordType is the artifactType of a release record.
const RecordType = "application/vnd.sh.libre.release.v1+json"

// mostRecord is the largest size, in bytes, of a record. It is read before its signature is
// verified.
const mostRecord = 512 << 10

// recordSchema is the version of Record's JSON.
const recordSchema = 1

// Record is one release of an app and variant, for operators to pin and read. It is
// published at app-variant:appver-pkgver and signed like an image. Its tag is set last of
// all, which makes a release of several images atomic.
type Record struct {
	Schema         int                         `json:"schema"` // version of the record's format
	App            string                      `json:"app"`
	Variant        string                      `json:"variant"`
	Version        string                      `json:"version"` // upstream's
	PackageVersion int                         `json:"packageVersion"`
	Registry       string                      `json:"registry,omitempty"` // REGISTRY[/NAMESPACE] that it is for; "" in records of versions of libre that did not set it
	Description    string                      `json:"description,omitempty"`
	Homepage       string                      `json:"homepage,omitempty"`
	License        string                      `json:"license,omitempty"`  // SPDX expression
	Source         string                      `json:"source,omitempty"`   // URL of the project
	Revision       string                      `json:"revision,omitempty"` // tag, commit or module version of the source
	Components     map[string]*RecordComponent `json:"components"`         // by name
	Needs          map[string]json.RawMessage  `json:"needs,omitempty"`    // by name: what the app needs to run
	Migration      *catalog.Migration          `json:"migration,omitempty"`

	Application *describe.Application `json:"application,omitempty"` // description of the release, without the digests of its images; absent in records of old versions of libre

	// Withdrawals are the withdrawals that are attached to the record, if ShowRecord read it.
	Withdrawals Withdrawals `json:"-"`
	withdrawn   error
}

// Withdrawn returns a *WithdrawnError, with its fix, if ShowRecord found that the release is
// withdrawn.
func (r *Record) Withdrawn() error { return r.withdrawn }

// RecordComponent is one image of a release.
type RecordComponent struct {
	Reference   catalog.Ref                `json:"reference"`             // in the registry and namespace of the record
	Digest      string                     `json:"digest"`                // of the index
	Systems     map[string]string          `json:"systems"`               // OCI platform → digest of its manifest
	Key         string                     `json:"key"`                   // image key
	Ports       map[string]int             `json:"ports,omitempty"`       // by name
	Protocols   map[string]string          `json:"protocols,omitempty"`   // of the ports that are not TCP: udp or sctp
	Health      string                     `json:"health,omitempty"`      // path of the HTTP health check
	HealthCheck *catalog.HealthCheck       `json:"healthCheck,omitempty"` // if the definition gives more than a path
	Volumes     []string                   `json:"volumes,omitempty"`     // paths in the image
	Services    map[string]catalog.Service `json:"services,omitempty"`    // ways to run the image, by name
	License     string                     `json:"license,omitempty"`

	// These fields are for images of Containerfiles. They have the image's own values for
	// attributes that the definition does not set. So may Volumes and HealthCheck.
	User         string   `json:"user,omitempty"`         // of a Containerfile's image
	StopSignal   string   `json:"stopSignal,omitempty"`   // such as SIGTERM
	ExposedPorts []string `json:"exposedPorts,omitempty"` // NUMBER/PROTOCOL, if ports is empty
}

// check returns an error if the parts of a record belong to different releases.
func (r *Record) check(manifest []byte) error {
	named, err := signedAs(manifest)
	if err != nil {
		return err
	}
	if named != (catalog.Ref{}) && named != r.ref() {
		return fmt.Errorf("%w: its annotations name %s, its content %s", errNoRecord, named, r.ref())
	}
	for _, component := range r.components() {
		id := catalog.ID{App: r.App, Component: component, Variant: r.Variant}
		if entry, want := r.Components[component], (catalog.Ref{Repository: id.Name(), Tag: r.ref().Tag}); entry == nil || entry.Reference != want {
			return fmt.Errorf("%w: it is for %s and does not name the image %s", errNoRecord, r.ref(), want)
		}
	}
	return nil
}

// ref returns the record's own reference.
func (r *Record) ref() catalog.Ref {
	return catalog.RecordRef(r.App, r.Variant, r.Version, r.PackageVersion)
}

// NewRecord returns the record of a release, with its images in the order of its targets.
// prefix is the REGISTRY[/NAMESPACE] that it is for.
func (r *Reader) NewRecord(ctx context.Context, prefix string, rel *Release, images []*Image) (*Record, error) {
	app := rel.App
	document, err := describe.New(app, rel.Variant)
	if err != nil {
		return nil, err
	}
	record := &Record{
		Registry: prefix,
		Schema:   recordSchema, App: app.Name, Variant: rel.Variant, Version: app.Version, PackageVersion: app.PackageVersion,
		Description: app.Meta.Description, Homepage: app.Meta.Homepage, License: app.Meta.License,
		Components: map[string]*RecordComponent{}, Needs: app.Needs, Migration: app.Migration,
		Application: document,
	}
	if app.Source != nil {
		record.Source, record.Revision = app.Source.Page, app.Source.Revision
	}
	for _, image := range images {
		component := app.Components[image.Target.ID.Component]
		entry := &RecordComponent{
			Reference: image.Target.Ref, Digest: image.Index.Digest.String(), Key: image.Target.Key(),
			Systems: map[string]string{}, Ports: component.Ports, Protocols: component.Protocols,
			Health: component.Health, HealthCheck: component.HealthCheck, Volumes: component.Volumes,
			Services: component.Services, License: component.License,
		}
		for _, manifest := range image.Manifests {
			entry.Systems[manifest.Platform.String()] = manifest.Digest.String()
		}
		if !image.Target.Reproducible() {
			config, err := r.config(ctx, image)
			if err != nil {
				return nil, err
			}
			entry.addUpstream(config.Config)
		}
		record.Components[image.Target.ID.Component] = entry
	}
	return record, nil
}

// encode returns the record's JSON. Go sorts the keys of maps.
func (r *Record) encode() ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(r)
	return text.Bytes(), err
}

// Artifact returns the record as an artifact to push.
func (r *Record) Artifact() (registry.Artifact, error) {
	content, err := r.encode()
	if err == nil && len(content) > mostRecord {
		err = fmt.Errorf("the release record of %s has %d bytes, at most %d are read: shorten its descriptions", r.ref(), len(content), mostRecord)
	}
	return registry.Artifact{Type: RecordType, Content: content, Annotations: map[string]string{
		release.OCIPrefix + "title":             r.App + "-" + r.Variant,
		release.OCIPrefix + "version":           catalog.Tag(r.Version, r.PackageVersion),
		release.LibrePrefix + "app":             r.App,
		release.LibrePrefix + "variant":         r.Variant,
		release.LibrePrefix + "app-version":     r.Version,
		release.LibrePrefix + "package-version": fmt.Sprint(r.PackageVersion),
	}}, err
}

// errNoRecord means that a reference does not name a release record.
var errNoRecord = errors.New("it is not a release record")

// readRecord fetches a record with one request, or two if it is large. It verifies nothing.
func readRecord(ctx context.Context, client *registry.Client, reference name.Reference) (*Record, name.Digest, error) {
	got, err := client.Get(ctx, reference)
	if err != nil {
		return nil, name.Digest{}, err
	}
	return decodeRecord(ctx, client, reference, got)
}

func decodeRecord(ctx context.Context, client *registry.Client, reference name.Reference, got *registry.Manifest) (*Record, name.Digest, error) {
	digest := reference.Context().Digest(got.Digest.String())
	var manifest struct {
		ArtifactType string          `json:"artifactType"`
		Layers       []v1.Descriptor `json:"layers"`
	}
	if err := json.Unmarshal(got.Content, &manifest); err != nil {
		return nil, digest, fmt.Errorf("reading %s: %w", reference, err)
	}
	if manifest.ArtifactType != RecordType || len(manifest.Layers) != 1 {
		return nil, digest, fmt.Errorf("reading %s: %w", reference, errNoRecord)
	}
	content, err := client.Blob(ctx, digest, manifest.Layers[0], mostRecord)
	if err != nil {
		return nil, digest, err
	}
	var record Record
	if err := json.Unmarshal(content, &record); err != nil {
		return nil, digest, fmt.Errorf("reading %s: %w", reference, err)
	}
	if record.Schema != recordSchema {
		return nil, digest, fmt.Errorf("reading %s: it has schema %d, this libre reads %d: update libre", reference, record.Schema, recordSchema)
	}
	if err := record.check(got.Content); err != nil {
		return nil, digest, fmt.Errorf("reading %s: %w", reference, err)
	}
	return &record, digest, nil
}

// components returns the names of a record's images, sorted.
func (r *Record) components() []string { return slices.Sorted(maps.Keys(r.Components)) }

// RecordRefs returns the references of the records of selected releases, sorted.
func RecordRefs(patterns []catalog.Pattern, apps map[string]catalog.App) []catalog.Ref {
	seen := map[catalog.Ref]bool{}
	for _, id := range catalog.IDs(apps) {
		for _, pattern := range patterns {
			if pattern.Match(id) {
				seen[apps[id.App].RecordRef(id.Variant)] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b catalog.Ref) int { return strings.Compare(a.String(), b.String()) })
}

// Image returns the tag and the digest that the record names for a component's image, in
// the client's registry.
func (r *Record) Image(client *registry.Client, component string) (name.Tag, name.Digest, error) {
	entry := r.Components[component]
	if entry == nil {
		return name.Tag{}, name.Digest{}, fmt.Errorf("the release record %s names no image %s", r.ref(), component)
	}
	tag, err := client.Tag(entry.Reference)
	return tag, tag.Context().Digest(entry.Digest), err
}

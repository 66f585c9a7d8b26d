package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Format is the number of everything that decides which bytes an image becomes:
// the planner, tar, codecs, labels. It is part of every image key and layer key;
// a golden test that fails means that it has to be raised.
const Format = 2

// ContainerfileFormat takes its place in the image keys of Containerfiles: what engines
// give, and what is kept of it, changes without the images that Nix makes.
const ContainerfileFormat = 3

// Spec is one image on one system, as evaluation gives it.
type Spec struct {
	Kind           string      `json:"kind"` // nix or containerfile
	App            string      `json:"app"`
	Component      string      `json:"component"`
	Variant        string      `json:"variant"`
	System         string      `json:"system"` // Nix system
	Version        string      `json:"version"`
	PackageVersion int         `json:"packageVersion"`
	Config         Config      `json:"config"`
	About          Annotations `json:"about"`
	Skip           *string     `json:"skip"`      // why there is no such image on this system
	NeedsPkgs      bool        `json:"needsPkgs"` // the key cannot be known without the package set

	// Nix images: the tree that becomes "/", and the owners of its paths.
	Rootfs *Derivation      `json:"rootfs,omitempty"`
	Owners map[string]Owner `json:"owners,omitempty"`

	// Containerfile images.
	Source   json.RawMessage    `json:"source,omitempty"` // identity: hash and changes
	File     string             `json:"file,omitempty"`
	Target   *string            `json:"target,omitempty"`
	Context  string             `json:"context,omitempty"`
	Args     map[string]*string `json:"args,omitempty"`     // nil: required, and not set
	Contexts map[string]string  `json:"contexts,omitempty"` // name → store path
	Bases    map[string]Base    `json:"bases,omitempty"`
	Fetch    *Derivation        `json:"fetch,omitempty"` // the changed source; absent where pkgs is

	// Debug images: the tools' tree, its programs in bin.
	Tools *Derivation `json:"tools,omitempty"`
}

// Derivation is a store path and the derivation that makes it; Drv is nil for
// what is in the store already.
type Derivation struct {
	Drv *string `json:"drv"`
	Out string  `json:"out"`
}

// Config is the part of an image's configuration that a definition sets. For a
// Containerfile image, what is absent stays as the Containerfile has it, but the
// command where the entrypoint is set; what is empty is taken away.
type Config struct {
	Entrypoint []string          `json:"entrypoint,omitzero"`
	Command    []string          `json:"command,omitzero"`
	Env        map[string]string `json:"env,omitempty"`
	User       string            `json:"user,omitempty"` // UID or UID:GID
	WorkingDir string            `json:"workingDir,omitempty"`
	Ports      []int             `json:"ports,omitzero"`       // TCP
	OtherPorts []string          `json:"otherPorts,omitempty"` // NUMBER/udp or NUMBER/sctp
	Volumes    []string          `json:"volumes,omitzero"`
	StopSignal string            `json:"stopSignal,omitempty"`
	Health     *HealthCheck      `json:"health,omitempty"` // one with a command: an image has no other
}

// Annotations is what an image's labels and annotations say of it.
type Annotations struct {
	Description string                     `json:"description"`
	URL         string                     `json:"url"`
	License     string                     `json:"license"`
	Source      string                     `json:"source"`
	Revision    string                     `json:"revision"`
	Date        string                     `json:"date"` // YYYY-MM-DD
	Needs       map[string]json.RawMessage `json:"needs"`
	Migration   *Migration                 `json:"migration"`
}

// Owner is the mode (octal digits) and owner of a path.
type Owner struct {
	Mode string `json:"mode"`
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
}

// Base is a base image of a Containerfile: a digest pin, or another image of the
// catalogue.
type Base struct {
	Digest string `json:"digest,omitempty"`
	Image  *Spec  `json:"image,omitempty"`
}

// ID names the image within its catalogue.
func (s *Spec) ID() ID { return ID{s.App, s.Component, s.Variant} }

// Ref is the image's reference: app-component-variant:appver-pkgver.
func (s *Spec) Ref() Ref { return Ref{s.ID().Name(), Tag(s.Version, s.PackageVersion)} }

// RecordRef is the reference of the release record that the image is of.
func (s *Spec) RecordRef() Ref { return RecordRef(s.App, s.Variant, s.Version, s.PackageVersion) }

// MissingArgs lists the required arguments that have no value, sorted.
func (s *Spec) MissingArgs() []string {
	var missing []string
	for name, value := range s.Args {
		if value == nil {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// Production is the image that a debug image adds tools to.
func (s *Spec) Production() *Spec {
	spec := *s
	spec.Variant, spec.Tools = "default", nil
	return &spec
}

// Dependencies are the images of the catalogue that an image is built from: its bases, or
// the image that tools are added to. A Nix image with tools is assembled with what is below
// them.
func (s *Spec) Dependencies() []*Spec {
	if s.Kind != "containerfile" {
		return nil
	}
	if s.Tools != nil {
		return []*Spec{s.Production()}
	}
	var all []*Spec
	for _, name := range slices.Sorted(maps.Keys(s.Bases)) {
		if base := s.Bases[name].Image; base != nil {
			all = append(all, base)
		}
	}
	return all
}

// Key is the image key on this system: a hash over all that the image is made
// of, known before any build. Derivation paths stay out of it: they change with
// a fetcher while the output does not. So does what only says how to build.
func (s *Spec) Key() string {
	content := *s
	content.Skip, content.NeedsPkgs, content.Fetch = nil, false, nil
	content.Rootfs, content.Tools = outOnly(s.Rootfs), outOnly(s.Tools)
	content.Bases = nil
	bases := map[string]string{}
	for name, base := range s.Bases {
		if base.Image != nil {
			bases[name] = base.Image.Key()
		} else {
			bases[name] = base.Digest
		}
	}
	format := Format
	if s.Kind == "containerfile" {
		format = ContainerfileFormat
	}
	return hashOf(struct {
		Format int
		Spec   Spec
		Bases  map[string]string
	}{format, content, bases})
}

func outOnly(r *Derivation) *Derivation {
	if r == nil {
		return nil
	}
	return &Derivation{Out: r.Out}
}

// IndexKey is the key of an image over all its systems: of its OCI index.
func IndexKey(specs []*Spec) string {
	keys := map[string]string{}
	for _, spec := range specs {
		keys[spec.System] = spec.Key()
	}
	return hashOf(keys)
}

// hashOf hashes JSON, whose maps Go encodes in the order of their keys.
func hashOf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("encoding an image key: %v", err)) // only raw JSON that Nix did not write
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

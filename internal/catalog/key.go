package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Format is the version of everything that decides the bytes of an image: the planner, tar,
// codecs, labels. It is part of every image key and layer key. Raise it if a golden test
// fails.
const Format = 2

// ContainerfileFormat replaces Format in the image keys of Containerfile images, because
// what engines build changes independently of the images that Nix builds.
const ContainerfileFormat = 3

// specJSON is the JSON of a spec of any kind. Evaluation returns it, and image keys are
// hashes of it. The order of its fields is part of every key.
type specJSON struct {
	Kind           string      `json:"kind"` // nix or containerfile
	App            string      `json:"app"`
	Component      string      `json:"component"`
	Variant        string      `json:"variant"`
	System         string      `json:"system"`
	Version        string      `json:"version"`
	PackageVersion int         `json:"packageVersion"`
	Config         Config      `json:"config"`
	Annotations    Annotations `json:"about"`
	Skip           *string     `json:"skip"`
	NeedsPkgs      bool        `json:"needsPkgs"`

	Rootfs *Derivation      `json:"rootfs,omitempty"`
	Owners map[string]Owner `json:"owners,omitempty"`

	Source   json.RawMessage    `json:"source,omitempty"`
	File     string             `json:"file,omitempty"`
	Target   *string            `json:"target,omitempty"`
	Context  string             `json:"context,omitempty"`
	Args     map[string]*string `json:"args,omitempty"`
	Contexts map[string]string  `json:"contexts,omitempty"`
	Bases    map[string]Base    `json:"bases,omitempty"`
	Fetch    *Derivation        `json:"fetch,omitempty"`

	Tools *Derivation `json:"tools,omitempty"`

	Compression string `json:"compression,omitempty"`

	Software *Software `json:"software,omitempty"` // in no key
}

func (i *NixImage) write(to *specJSON) { to.Rootfs, to.Owners = i.Rootfs, i.Owners }

func (i *ContainerfileImage) write(to *specJSON) {
	to.Source, to.File, to.Target, to.Context = i.Source, i.File, i.Target, i.Context
	to.Args, to.Contexts, to.Bases, to.Fetch = i.Args, i.Contexts, i.Bases, i.Fetch
}

func (i *DebugImage) write(to *specJSON) {
	i.Of.write(to)
	to.Tools = i.Tools
}

// json returns the spec's JSON value.
func (s *Spec) json() specJSON {
	all := specJSON{
		Kind: s.Kind(), App: s.App, Component: s.Component, Variant: s.Variant, System: s.System,
		Version: s.Version, PackageVersion: s.PackageVersion, Config: s.Config, Annotations: s.Annotations,
		Skip: s.Skip, NeedsPkgs: s.NeedsPkgs, Compression: s.Compression, Software: s.Software,
	}
	s.Content.write(&all)
	return all
}

// UnmarshalJSON reads the result of evaluation.
func (s *Spec) UnmarshalJSON(text []byte) error {
	var from specJSON
	if err := json.Unmarshal(text, &from); err != nil {
		return err
	}
	*s = Spec{
		App: from.App, Component: from.Component, Variant: from.Variant, System: from.System,
		Version: from.Version, PackageVersion: from.PackageVersion, Config: from.Config, Annotations: from.Annotations,
		Skip: from.Skip, NeedsPkgs: from.NeedsPkgs, Compression: from.Compression, Software: from.Software,
	}
	switch from.Kind {
	case KindNix:
		s.Content = &NixImage{Rootfs: from.Rootfs, Owners: from.Owners}
	case KindContainerfile:
		s.Content = &ContainerfileImage{
			Source: from.Source, File: from.File, Target: from.Target, Context: from.Context,
			Args: from.Args, Contexts: from.Contexts, Bases: from.Bases, Fetch: from.Fetch,
		}
	default:
		return fmt.Errorf("unknown kind %q of image %s, expected %s or %s: update libre", from.Kind, s.ID(), KindNix, KindContainerfile)
	}
	if from.Tools != nil {
		s.Content = &DebugImage{Tools: from.Tools, Of: s.Content}
	}
	return nil
}

// MarshalJSON writes the JSON that UnmarshalJSON reads.
func (s *Spec) MarshalJSON() ([]byte, error) { return json.Marshal(s.json()) }

// Key returns the image key on this system: a hash of everything that the image is built
// from. It is known before any build. It does not include derivation paths, because they
// change with a fetcher whose output stays the same. Nor does it include anything that only
// describes how to build.
func (s *Spec) Key() string {
	content := s.json()
	content.Skip, content.NeedsPkgs, content.Fetch, content.Software = nil, false, nil, nil
	content.Rootfs, content.Tools = outOnly(content.Rootfs), outOnly(content.Tools)
	bases := map[string]string{}
	for name, base := range content.Bases {
		if base.Image != nil {
			bases[name] = base.Image.Key()
		} else {
			bases[name] = base.Digest
		}
	}
	content.Bases = nil
	format := Format
	if s.Kind() == KindContainerfile {
		format = ContainerfileFormat
	}
	return hashOf(struct {
		Format int
		Spec   specJSON
		Bases  map[string]string
	}{format, content, bases})
}

func outOnly(r *Derivation) *Derivation {
	if r == nil {
		return nil
	}
	return &Derivation{Out: r.Out}
}

// IndexKey returns the key of an image for all its systems. It is the key of its OCI index.
func IndexKey(specs []*Spec) string {
	keys := map[string]string{}
	for _, spec := range specs {
		keys[spec.System] = spec.Key()
	}
	return hashOf(keys)
}

// hashOf hashes a value's JSON. Go sorts the keys of maps.
func hashOf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("encoding an image key: %v", err)) // only possible if Nix did not write the raw JSON
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

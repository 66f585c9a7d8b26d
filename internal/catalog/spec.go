package catalog

import (
	"encoding/json"
	"maps"
	"slices"
)

// Spec is one image on one system, as evaluation gives it: what all kinds have in common,
// and the content of its kind.
type Spec struct {
	App            string
	Component      string
	Variant        string
	System         string // Nix system
	Version        string
	PackageVersion int
	Config         Config
	About          Annotations
	Skip           *string // why there is no such image on this system
	NeedsPkgs      bool    // the key cannot be known without the package set

	Content Content // *NixImage, *ContainerfileImage or *DebugImage
}

// Content is what an image of one kind is made from.
type Content interface {
	// Kind is KindNix or KindContainerfile.
	Kind() string
	// Derivations are what Nix builds for the image itself, its dependencies aside.
	Derivations() []*Derivation
	// write puts the content into the JSON of a spec.
	write(*specJSON)
}

// The kinds of components.
const (
	KindNix           = "nix"
	KindContainerfile = "containerfile"
)

// NixImage is an image of store paths.
type NixImage struct {
	Rootfs *Derivation      // the tree that becomes "/"; nil where the image is skipped, or pkgs is absent
	Owners map[string]Owner // of its paths
}

// Kind is KindNix.
func (i *NixImage) Kind() string { return KindNix }

// Derivations are the root file system.
func (i *NixImage) Derivations() []*Derivation { return present(i.Rootfs) }

// ContainerfileImage is an image that an engine builds from a Containerfile.
type ContainerfileImage struct {
	Source   json.RawMessage // identity: hash and changes
	File     string
	Target   *string // nil for the last stage
	Context  string
	Args     map[string]*string // nil: required, and not set
	Contexts map[string]string  // name → store path
	Bases    map[string]Base
	Fetch    *Derivation // the changed source; nil where pkgs is absent
}

// Kind is KindContainerfile.
func (i *ContainerfileImage) Kind() string { return KindContainerfile }

// Derivations are the changed source.
func (i *ContainerfileImage) Derivations() []*Derivation { return present(i.Fetch) }

// MissingArgs lists the required arguments that have no value, sorted.
func (i *ContainerfileImage) MissingArgs() []string {
	var missing []string
	for name, value := range i.Args {
		if value == nil {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// DebugImage is a production image with tools.
type DebugImage struct {
	Tools *Derivation // a tree, the programs in its bin
	Of    Content     // the production image's, a *NixImage or a *ContainerfileImage
}

// Kind is the production image's.
func (i *DebugImage) Kind() string { return i.Of.Kind() }

// Derivations are the tools. A Nix image with tools is assembled with its root file system;
// what an engine builds is a dependency.
func (i *DebugImage) Derivations() []*Derivation {
	if of, isNix := i.Of.(*NixImage); isNix {
		return append(of.Derivations(), i.Tools)
	}
	return []*Derivation{i.Tools}
}

func present(derivation *Derivation) []*Derivation {
	if derivation == nil {
		return nil
	}
	return []*Derivation{derivation}
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

// Kind is KindNix or KindContainerfile.
func (s *Spec) Kind() string { return s.Content.Kind() }

// Containerfile is the part of the image that an engine builds; nil for a Nix image.
func (s *Spec) Containerfile() *ContainerfileImage {
	file, _ := s.Production().Content.(*ContainerfileImage)
	return file
}

// Rootfs is the tree of a Nix image; nil for any other.
func (s *Spec) Rootfs() *Derivation {
	if image, isNix := s.Production().Content.(*NixImage); isNix {
		return image.Rootfs
	}
	return nil
}

// Tools are the tools of a debug image; nil for any other.
func (s *Spec) Tools() *Derivation {
	if debug, isDebug := s.Content.(*DebugImage); isDebug {
		return debug.Tools
	}
	return nil
}

// Production is the image that a debug image adds tools to; any other is its own.
func (s *Spec) Production() *Spec {
	debug, isDebug := s.Content.(*DebugImage)
	if !isDebug {
		return s
	}
	spec := *s
	spec.Variant, spec.Content = "default", debug.Of
	return &spec
}

// Dependencies are the images of the catalogue that an image is built from: its bases, or
// the image that tools are added to. A Nix image with tools is assembled with what is below
// them.
func (s *Spec) Dependencies() []*Spec {
	file := s.Containerfile()
	if file == nil {
		return nil
	}
	if s.Tools() != nil {
		return []*Spec{s.Production()}
	}
	var all []*Spec
	for _, name := range slices.Sorted(maps.Keys(file.Bases)) {
		if base := file.Bases[name].Image; base != nil {
			all = append(all, base)
		}
	}
	return all
}

package catalog

import (
	"encoding/json"
	"maps"
	"slices"
)

// Spec is the result of evaluating one image on one system. It has the fields that all
// kinds share, and the content of its kind.
type Spec struct {
	App            string
	Component      string
	Variant        string
	System         string // Nix system
	Version        string
	PackageVersion int
	Config         Config
	Annotations    Annotations
	Skip           *string // why the image does not exist on this system
	NeedsPkgs      bool    // the key is unknown without the package set
	Compression    string  // of layers: zstd, or empty for gzip
	Software       *Software

	Content Content // *NixImage, *ContainerfileImage or *DebugImage
}

// Content describes what an image of one kind is built from.
type Content interface {
	// Kind returns KindNix or KindContainerfile.
	Kind() string
	// Derivations returns what Nix builds for the image itself. It does not include the
	// derivations of other images.
	Derivations() []*Derivation
	// write writes the content into the JSON of a spec.
	write(*specJSON)
}

// The kinds of components.
const (
	KindNix           = "nix"
	KindContainerfile = "containerfile"
)

// NixImage is an image that contains store paths.
type NixImage struct {
	Rootfs *Derivation      // the tree that becomes "/"; nil if the image is skipped or pkgs is absent
	Owners map[string]Owner // by path in the image
}

// Kind returns KindNix.
func (i *NixImage) Kind() string { return KindNix }

// Derivations returns the root file system.
func (i *NixImage) Derivations() []*Derivation { return present(i.Rootfs) }

// ContainerfileImage is an image that an engine builds from a Containerfile.
type ContainerfileImage struct {
	Source   json.RawMessage // identity: hash and changes
	File     string
	Target   *string // stage; nil for the last
	Context  string
	Args     map[string]*string // build arguments; nil if required and not set
	Contexts map[string]string  // name → store path
	Bases    map[string]Base
	Fetch    *Derivation // the changed source; nil if pkgs is absent
}

// Kind returns KindContainerfile.
func (i *ContainerfileImage) Kind() string { return KindContainerfile }

// Derivations returns the changed source.
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

// DebugImage is a production image with tools added.
type DebugImage struct {
	Tools *Derivation // a tree with the programs in its bin
	Of    Content     // the production image's content, a *NixImage or a *ContainerfileImage
}

// Kind returns the production image's kind.
func (i *DebugImage) Kind() string { return i.Of.Kind() }

// Derivations returns the tools. For a Nix image it also returns the root file system,
// because both are assembled together. A Containerfile image is a dependency instead.
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

// Derivation is a store path and the derivation that builds it. Drv is nil for a path that
// is in the store already.
type Derivation struct {
	Drv *string `json:"drv"`
	Out string  `json:"out"`
}

// Config is the part of an image's configuration that a definition sets. In a Containerfile
// image, absent fields keep the Containerfile's values, except that setting the entrypoint
// removes the command. Empty fields remove the Containerfile's values.
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
	Health     *HealthCheck      `json:"health,omitempty"` // needs a command: images support no other check
}

// Annotations is the content of an image's labels and annotations.
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

// Base is a base image of a Containerfile: a digest pin or another image of the catalogue.
type Base struct {
	Digest string `json:"digest,omitempty"`
	Image  *Spec  `json:"image,omitempty"`
}

// ID returns the image's identity within its catalogue.
func (s *Spec) ID() ID { return ID{s.App, s.Component, s.Variant} }

// Ref returns the image's reference: app-component-variant:appver-pkgver.
func (s *Spec) Ref() Ref { return Ref{s.ID().Name(), Tag(s.Version, s.PackageVersion)} }

// RecordRef returns the reference of the image's release record.
func (s *Spec) RecordRef() Ref { return RecordRef(s.App, s.Variant, s.Version, s.PackageVersion) }

// Kind returns KindNix or KindContainerfile.
func (s *Spec) Kind() string { return s.Content.Kind() }

// Containerfile returns the part of the image that an engine builds, or nil for a Nix
// image.
func (s *Spec) Containerfile() *ContainerfileImage {
	file, _ := s.Production().Content.(*ContainerfileImage)
	return file
}

// Rootfs returns the tree of a Nix image, or nil for any other.
func (s *Spec) Rootfs() *Derivation {
	if image, isNix := s.Production().Content.(*NixImage); isNix {
		return image.Rootfs
	}
	return nil
}

// Tools returns the tools of a debug image, or nil for any other.
func (s *Spec) Tools() *Derivation {
	if debug, isDebug := s.Content.(*DebugImage); isDebug {
		return debug.Tools
	}
	return nil
}

// Production returns the image that a debug image adds tools to, or the image itself if it
// is not a debug image.
func (s *Spec) Production() *Spec {
	debug, isDebug := s.Content.(*DebugImage)
	if !isDebug {
		return s
	}
	spec := *s
	spec.Variant, spec.Content = "default", debug.Of
	return &spec
}

// Dependencies returns the images of the catalogue that an image is built from: its bases,
// or the image that tools are added to. A Nix image has none, even with tools, because it
// is assembled from store paths.
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

// Compress sets the compression of the layers of an image and of those that it is built
// from: gzip or zstd; empty is gzip. The keys of images with gzip do not name it.
func (s *Spec) Compress(compression string) {
	if compression == "gzip" {
		compression = ""
	}
	s.Compression = compression
	if file := s.Containerfile(); file != nil {
		for _, base := range file.Bases {
			if base.Image != nil {
				base.Image.Compress(compression)
			}
		}
	}
}

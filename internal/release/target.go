// Package release has the types that state, build and publish share: the images of a
// catalogue, their labels and their configuration.
package release

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
)

// Target is one image, for one or more systems.
type Target struct {
	ID      catalog.ID
	Ref     catalog.Ref
	Specs   []*catalog.Spec // one for each system that can be built
	Skipped []Skip          // the other systems
}

// Skip is a system that an image cannot be built for, and the reason.
type Skip struct{ System, Reason string }

// Key returns the image key for all systems.
func (t *Target) Key() string { return catalog.IndexKey(t.Specs) }

// NeedsPkgs reports whether the key needs the package set.
func (t *Target) NeedsPkgs() bool {
	return slices.ContainsFunc(t.Specs, func(s *catalog.Spec) bool { return s.NeedsPkgs })
}

// Reproducible reports whether two builds give the same bytes. The steps of a Containerfile
// may do anything.
func (t *Target) Reproducible() bool {
	return !slices.ContainsFunc(t.Specs, func(s *catalog.Spec) bool { return s.Kind() != catalog.KindNix })
}

// Targets groups evaluated specs by image, in order.
func Targets(specs []*catalog.Spec) []*Target {
	byID := map[catalog.ID]*Target{}
	var all []*Target
	for _, spec := range specs {
		target := byID[spec.ID()]
		if target == nil {
			target = &Target{ID: spec.ID(), Ref: spec.Ref()}
			byID[spec.ID()] = target
			all = append(all, target)
		}
		if spec.Skip != nil {
			target.Skipped = append(target.Skipped, Skip{spec.System, *spec.Skip})
		} else {
			target.Specs = append(target.Specs, spec)
		}
	}
	slices.SortFunc(all, func(a, b *Target) int { return a.ID.Compare(b.ID) })
	return all
}

// SpecFor returns the spec for a platform, as os/architecture, or nil if there is none.
func (t *Target) SpecFor(platform string) *catalog.Spec {
	for _, spec := range t.Specs {
		if name, err := catalog.Platform(spec.System); err == nil && name == platform {
			return spec
		}
	}
	return nil
}

// Platform returns the OCI platform of a spec's system.
func Platform(spec *catalog.Spec) (v1.Platform, error) {
	name, err := catalog.Platform(spec.System)
	if err != nil {
		return v1.Platform{}, err
	}
	os, architecture, _ := strings.Cut(name, "/")
	return v1.Platform{OS: os, Architecture: architecture}, nil
}

// Failure is the step at which an image failed, and the reason.
type Failure struct {
	Step string // evaluate, source, build, assemble, containerfile or import
	Err  error
	Tail []string // the last lines of the child's output
	Log  string   // file with the whole output; "" if there is none
}

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

// SetProblems sets the error of a failure from an error with one line for each problem. The
// first line is the reason. If there are more, Tail has all of them.
func (f *Failure) SetProblems(err error) {
	f.Err = err
	if lines := strings.Split(err.Error(), "\n"); len(lines) > 1 {
		f.Err, f.Tail = fmt.Errorf("%s; and %d more", lines[0], len(lines)-1), lines
	}
}

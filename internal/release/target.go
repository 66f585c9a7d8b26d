// Package release is the pipeline from a catalogue to images: it evaluates what
// is selected, finds out what is done already, and does the rest.
package release

import (
	"runtime"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/oci/layout"
)

// Target is one image, for one or more systems.
type Target struct {
	catalog.ID
	Ref     catalog.Ref
	Specs   []*catalog.Spec // one a system, those that can be built
	Skipped []Skip          // systems that it cannot be built for
}

// Skip is a system that an image cannot be built for.
type Skip struct{ System, Reason string }

// Key is the image key over all systems.
func (t *Target) Key() string { return catalog.IndexKey(t.Specs) }

// needsPkgs tells whether the key needs the package set.
func (t *Target) needsPkgs() bool {
	return slices.ContainsFunc(t.Specs, func(s *catalog.Spec) bool { return s.NeedsPkgs })
}

// reproducible tells whether a build gives what another one gave. The steps of a
// Containerfile may do anything.
func (t *Target) reproducible() bool {
	return !slices.ContainsFunc(t.Specs, func(s *catalog.Spec) bool { return s.Kind != "nix" })
}

// targets groups evaluated specs by image, in order.
func targets(specs []*catalog.Spec) []*Target {
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

// State is what became of an image.
type State string

const (
	Built     State = "built"
	Unchanged State = "unchanged" // the layout had it already
	Failed    State = "failed"
	Skipped   State = "skipped" // no system can have it
)

// Result is what became of one image.
type Result struct {
	catalog.ID
	State   State
	Ref     catalog.Ref
	Digest  string        // of the index
	Size    int64         // bytes of all blobs, compressed, each once
	Layers  int           // of the first platform's manifest
	Time    time.Duration // of what Nix built for it and of all after, what was waited for not counted twice
	Skipped []Skip
	Err     *Failure // where it failed
}

// Failure says at which step an image failed, and why.
type Failure struct {
	Step string // evaluate, source, build, assemble, containerfile or import
	Err  error
	Tail []string // the last lines of the child's output
	Log  string   // file with the whole output, "" where there is none
}

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

// built is what a layout has, by name; nothing where there is no layout yet.
type built struct {
	layout  *layout.Layout
	entries map[string]v1.Descriptor
}

func readBuilt(dist *layout.Layout) (built, error) {
	b := built{dist, map[string]v1.Descriptor{}}
	entries, err := dist.Entries()
	for _, entry := range entries {
		b.entries[entry.Annotations[layout.RefNameAnnotation]] = entry
	}
	return b, err
}

// plans compares targets with what is built, in their order. Most of it is
// asking the file system for sizes, so it is done for several at once.
func (b built) plans(all []*Target, pkgsErr error) ([]Plan, []layout.Entry) {
	plans, entries := make([]Plan, len(all)), make([]layout.Entry, len(all))
	var group errgroup.Group
	group.SetLimit(2 * runtime.NumCPU())
	for i, target := range all {
		group.Go(func() error {
			plans[i], entries[i] = b.plan(target, pkgsErr)
			return nil
		})
	}
	_ = group.Wait() // none of them fails
	return plans, entries
}

// plan compares a target with what is built, and gives what is there of it.
func (b built) plan(target *Target, pkgsErr error) (Plan, layout.Entry) {
	p := Plan{ID: target.ID, Ref: target.Ref, Action: ToBuild}
	if len(target.Specs) == 0 {
		p.Action, p.Reason = ToNothing, "skipped: "+target.Skipped[0].Reason
		return p, layout.Entry{}
	}
	if pkgsErr != nil && target.needsPkgs() {
		p.Reason = "key unknown: " + pkgsErr.Error()
		return p, layout.Entry{}
	}
	p.Key = target.Key()
	entry, found := b.entries[target.Ref.String()]
	if !found {
		p.Reason = "new"
		return p, layout.Entry{}
	}
	there := layout.Entry{Descriptor: entry, Content: b.layout.Content(entry)}
	switch key := entry.Annotations[image.ImageKeyAnnotation]; {
	case key != p.Key:
		p.Reason = "image key changed: " + short(key) + " → " + short(p.Key)
	case !there.Complete:
		p.Reason = "the layout lacks blobs of it"
	default:
		p.Action, p.Reason = ToNothing, isBuilt
	}
	return p, there
}

// isBuilt is the reason for doing nothing.
const isBuilt = "built"

// short is a digest's beginning, as people compare it.
func short(key string) string {
	if len(key) < len("sha256:")+12 {
		return "none"
	}
	return key[len("sha256:") : len("sha256:")+12]
}

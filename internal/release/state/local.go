package state

import (
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/release"
)

// Local holds the images of an OCI layout by name. It is empty if there is no layout.
type Local struct {
	layout  *layout.Layout
	entries map[string]v1.Descriptor
}

// ReadLocal reads the images of a layout.
func ReadLocal(dist *layout.Layout) (Local, error) {
	l := Local{dist, map[string]v1.Descriptor{}}
	entries, err := dist.Entries()
	for _, entry := range entries {
		l.entries[entry.Annotations[layout.RefNameAnnotation]] = entry
	}
	return l, err
}

// Manifests lists the manifests of an image of the layout, one for each platform.
func (l Local) Manifests(index v1.Descriptor) ([]v1.Descriptor, error) {
	return l.layout.Manifests(index)
}

// Plans compares targets with the layout, in their order. Most of the time goes to file
// sizes, so it compares several at once.
func (l Local) Plans(all []*release.Target, pkgsErr error) ([]Plan, []layout.Entry) {
	plans, entries := make([]Plan, len(all)), make([]layout.Entry, len(all))
	InParallel(2*runtime.NumCPU(), all, func(i int, target *release.Target) {
		plans[i], entries[i] = l.plan(target, pkgsErr)
	})
	return plans, entries
}

// plan compares a target with the layout and returns its entry there.
func (l Local) plan(target *release.Target, pkgsErr error) (Plan, layout.Entry) {
	p := Plan{ID: target.ID, Ref: target.Ref, Action: ToBuild}
	if len(target.Specs) == 0 {
		p.Action, p.Reason = ToNothing, "skipped: "+target.Skipped[0].Reason
		return p, layout.Entry{}
	}
	if pkgsErr != nil && target.NeedsPkgs() {
		p.Reason = "key unknown: " + pkgsErr.Error()
		return p, layout.Entry{}
	}
	p.Key = target.Key()
	entry, found := l.entries[target.Ref.String()]
	if !found {
		p.Reason = "new"
		return p, layout.Entry{}
	}
	there := layout.Entry{Descriptor: entry, Content: l.layout.Content(entry)}
	switch key := entry.Annotations[image.ImageKeyAnnotation]; {
	case key != p.Key:
		p.Reason = "image key changed: " + short(key) + " → " + short(p.Key)
	case !there.Complete:
		p.Reason = "the layout lacks blobs of the image"
	default:
		p.Action, p.Reason = ToNothing, string(Built)
	}
	return p, there
}

// short returns the first 12 hexadecimal digits of a digest, for people to read.
func short(key string) string {
	if len(key) < len("sha256:")+12 {
		return "none"
	}
	return key[len("sha256:") : len("sha256:")+12]
}

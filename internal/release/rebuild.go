package release

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
)

// VerifyRebuilt builds the selected images once more, into a layout of their own
// and without any cache of layers, and compares them with what is published.
// Store paths that are valid are taken as they are. The first difference is named.
func (p *Publisher) VerifyRebuilt(ctx context.Context, request nix.Request) ([]Verified, error) {
	releases, evaluation, err := p.releases(ctx, request)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "libre-rebuild-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	again := *p.Builder
	again.Output, again.layers, again.rebuild = dir, image.NewCache(""), true
	again.Published = func(context.Context) (*registry.Client, *Signing, error) { return p.Registry, p.Signing, nil }

	var all []Verified
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		all = append(all, Verified{Reference: app, Err: evaluation.Failures[app]})
	}
	var wanted []*Target
	digests := map[*Target]name.Digest{}
	for _, release := range releases {
		there, err := p.look(ctx, release)
		if err == nil && there.RemoteState != AsWanted && there.RemoteState != Incomplete {
			err = fmt.Errorf("it is not published as the catalogue has it: %s", strings.TrimSuffix(string(there.RemoteState)+", "+there.reason, ", "))
		}
		if err != nil {
			all = append(all, Verified{Reference: release.ref().String(), Kind: "rebuild", Err: err})
			continue
		}
		for n, result := range there.published(p, release)[:len(release.images)] {
			if image := release.images[n]; image.selected {
				wanted = append(wanted, image.target)
				digests[image.target] = result.Digest
			}
		}
	}
	built, err := again.buildTargets(ctx, wanted)
	if err != nil {
		return all, err
	}
	dist, err := layout.Open(dir)
	if err != nil {
		return all, err
	}
	for _, target := range wanted {
		v := Verified{Reference: target.Ref.String(), Digest: digests[target], Kind: "rebuild", Checks: []string{"rebuilt"}}
		if at := slices.IndexFunc(built, func(r Result) bool { return r.ID == target.ID && r.Err != nil }); at >= 0 {
			v.Err = built[at].Err
		} else {
			v.Err = p.compareRebuilt(ctx, dist, target, digests[target])
		}
		all = append(all, v)
	}
	return all, nil
}

// compareRebuilt names the first difference as an error.
func (p *Publisher) compareRebuilt(ctx context.Context, dist *layout.Layout, target *Target, published name.Digest) error {
	entry, _, err := dist.Lookup(target.Ref.String())
	if err != nil {
		return err
	}
	got, err := p.Registry.Get(ctx, published)
	if err != nil {
		return err
	}
	difference, err := image.Compare(ctx, layout.Source{
		Descriptor: got.Descriptor,
		Open: func(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
			return p.Registry.Open(ctx, published.Context(), d)
		},
	}, dist.Source(entry.Descriptor))
	if err != nil {
		return err
	}
	if difference != nil {
		return fmt.Errorf("rebuilt as %s: %s", entry.Digest, difference)
	}
	return nil
}

package build

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
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// VerifyRebuilt builds the selected images again, into a separate layout and without a cache of
// layers, and compares them with the published ones. It uses valid store paths as they are. It
// reports the first difference.
func (b *Builder) VerifyRebuilt(ctx context.Context, r *state.Reader, request nix.Request) ([]state.Verification, error) {
	releases, evaluation, err := r.Releases(ctx, request)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "libre-rebuild-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var all []state.Verification
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		all = append(all, state.Verification{Reference: app, Err: evaluation.Failures[app]})
	}
	var wanted []*release.Target
	digests := map[*release.Target]name.Digest{}
	for _, rel := range releases {
		if err := publishedDigests(ctx, r, rel, digests); err != nil {
			all = append(all, state.Verification{Reference: rel.Ref().String(), Kind: "rebuild", Err: err})
			continue
		}
		for _, target := range rel.Targets {
			if rel.IsSelected(target) {
				wanted = append(wanted, target)
			}
		}
	}
	built, err := b.BuildTargets(ctx, wanted, Options{
		Output: dir, Layers: image.NewCache(""), Rebuild: true,
		Bases: state.BaseOptions{Where: func(context.Context) (*registry.Client, *state.Signing, error) { return r.Registry, r.Signing, nil }},
	})
	if err != nil {
		return all, err
	}
	dist, err := layout.Open(dir)
	if err != nil {
		return all, err
	}
	for _, target := range wanted {
		v := state.Verification{Reference: target.Ref.String(), Digest: digests[target], Kind: "rebuild", Checks: []string{"rebuilt"}}
		if at := slices.IndexFunc(built, func(r Result) bool { return r.ID == target.ID && r.Err != nil }); at >= 0 {
			v.Err = built[at].Err
		} else {
			v.Err = compareRebuilt(ctx, r.Registry, dist, target, digests[target])
		}
		all = append(all, v)
	}
	return all, nil
}

// publishedDigests adds the digests of a release's images if the release is published with
// the catalogue's content.
func publishedDigests(ctx context.Context, r *state.Reader, rel *state.Release, digests map[*release.Target]name.Digest) error {
	there, err := r.Compare(ctx, rel)
	if err == nil && there.State != state.Published && there.State != state.Incomplete {
		err = fmt.Errorf("it is not published as the catalogue defines it: %s", strings.TrimSuffix(string(there.State)+", "+there.Reason, ", "))
	}
	if err != nil {
		return err
	}
	for _, target := range rel.Targets {
		if _, digests[target], err = there.Record.Image(r.Registry, target.ID.Component); err != nil {
			return err
		}
	}
	return nil
}

// compareRebuilt returns the first difference as an error.
func compareRebuilt(ctx context.Context, client *registry.Client, dist *layout.Layout, target *release.Target, published name.Digest) error {
	entry, _, err := dist.Lookup(target.Ref.String())
	if err != nil {
		return err
	}
	got, err := client.Get(ctx, published)
	if err != nil {
		return err
	}
	difference, err := image.Compare(ctx, layout.Source{
		Descriptor: got.Descriptor,
		Open: func(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
			return client.Open(ctx, published.Context(), d)
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

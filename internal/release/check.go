package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
)

// Problem is what keeps a release of the catalogue from being published.
type Problem struct {
	Name string `json:"release"` // app/variant
	What string `json:"problem"`
	Mend string `json:"mend"` // command that mends it
}

// Check compares the selected releases with what is published: an image that is
// published with another key under the same tag needs a higher package version, and
// no version is lower than the newest one that is published.
func (p *Publisher) Check(ctx context.Context, request nix.Request) ([]Problem, error) {
	releases, evaluation, err := p.releases(ctx, request)
	if err != nil {
		return nil, err
	}
	var all []Problem
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		all = append(all, Problem{Name: app, What: evaluation.Failures[app].Error(), Mend: "edit apps/" + app + "/default.nix"})
	}
	found := make([][]Problem, len(releases))
	failures := make([]error, len(releases))
	inParallel(lookers, releases, func(n int, release *variantRelease) {
		found[n], failures[n] = p.check(ctx, release)
	})
	for n := range releases {
		var refusal *registry.CredentialError
		switch {
		case errors.As(failures[n], &refusal) || ctx.Err() != nil:
			return all, failures[n]
		case failures[n] != nil:
			all = append(all, Problem{Name: releases[n].name(), What: failures[n].Error(), Mend: "libre check again"})
		}
		all = append(all, found[n]...)
	}
	return all, nil
}

func (p *Publisher) check(ctx context.Context, release *variantRelease) ([]Problem, error) {
	there, err := p.look(ctx, release)
	if err != nil {
		return nil, err
	}
	if there.Standing == OtherContent {
		return []Problem{{release.name(), release.refName() + " is " + errOtherContent.Error() + ": " + there.reason, repackCommand(release.app.Name)}}, nil
	}
	repository, wanted, _ := strings.Cut(release.refName(), ":")
	tags, err := p.Registry.Tags(ctx, repository)
	if err != nil {
		return nil, err
	}
	newest := newestRelease(tags)
	version, packageVersion, _ := catalog.ParseTag(newest)
	order := catalog.CompareVersions(version, release.app.Version)
	if newest != "" && (order > 0 || order == 0 && packageVersion > release.app.PackageVersion) {
		return []Problem{{release.name(), fmt.Sprintf("version %s is lower than %s, which is published", wanted, newest), "libre bump " + release.app.Name}}, nil
	}
	return nil, nil
}

// repackCommand raises an app's package version.
func repackCommand(app string) string { return "libre bump --repack " + app }

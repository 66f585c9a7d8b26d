package release

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
)

// Problem is what keeps a release of the catalogue from being published.
type Problem struct {
	Name string `json:"release"` // app/variant
	What string `json:"problem"`
	Mend string `json:"mend"` // command that mends it
}

// Check compares the selected releases with what is published: an image that is
// published with another key under the same tag needs a higher package version, and
// no version is lower than the newest one that is published. No definition has a
// defect, and every base of a Containerfile must be pinned by digest; where its source
// is not to be had, that is not known, and a warning.
func (p *Publisher) Check(ctx context.Context, request nix.Request) ([]Problem, error) {
	releases, evaluation, err := p.releases(ctx, request)
	if err != nil {
		return nil, err
	}
	var all []Problem
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		for problem := range strings.Lines(evaluation.Failures[app].Error()) {
			all = append(all, Problem{Name: app, What: strings.TrimSpace(problem), Mend: "edit apps/" + app + "/default.nix"})
		}
	}
	wrong, err := p.definitions(ctx, evaluation.Images)
	if err != nil {
		return all, err
	}
	all = append(all, wrong...)
	found := make([][]Problem, len(releases))
	failures := make([]error, len(releases))
	inParallel(lookers, releases, func(n int, release *variantRelease) {
		found[n], failures[n] = p.check(ctx, release)
	})
	for n := range releases {
		switch {
		case fault.Is(failures[n], fault.Credentials) || ctx.Err() != nil:
			return all, failures[n]
		case failures[n] != nil:
			all = append(all, Problem{Name: releases[n].name(), What: "unknown: " + fault.Reason(failures[n]), Mend: cmp.Or(fault.Fix(failures[n]), "libre check again")})
		}
		all = append(all, found[n]...)
	}
	return all, nil
}

func (p *Publisher) check(ctx context.Context, release *variantRelease) ([]Problem, error) {
	there, err := p.survey(ctx, release)
	if err != nil {
		return nil, err
	}
	if there.RemoteState == WasMoved {
		return movedProblems(release, there), nil
	}
	if there.RemoteState == OtherContent {
		return []Problem{{release.name(), there.other.String() + " is " + errOtherContent.Error() + ": " + there.reason, repackCommand(release.app.Name)}}, nil
	}
	if there.isElsewhere() {
		return []Problem{{release.name(), there.reason, release.putBack()}}, nil
	}
	tags, err := p.Registry.Tags(ctx, release.ref().Repository)
	if err != nil {
		return nil, err
	}
	newest := newestRelease(tags)
	version, packageVersion, _ := catalog.ParseTag(newest)
	order := catalog.CompareVersions(version, release.app.Version)
	if newest != "" && (order > 0 || order == 0 && packageVersion > release.app.PackageVersion) {
		return []Problem{{release.name(), fmt.Sprintf("version %s is lower than %s, which is published", release.ref().Tag, newest), raiseCommand(release.app, order == 0, packageVersion)}}, nil
	}
	return nil, nil
}

// movedProblems are the tags that were moved, one each.
func movedProblems(release *variantRelease, there standing) []Problem {
	var all []Problem
	for _, tag := range there.moved {
		all = append(all, Problem{release.name(), tag.Error() + ": this may be an attack", release.putBack()})
	}
	return all
}

// raiseCommand is what brings an app above what is published. Where nobody lists its
// versions, or the version is right, it is an edit.
func raiseCommand(app catalog.App, sameVersion bool, packageVersion int) string {
	attribute, value := "version", "a higher one"
	switch {
	case sameVersion:
		attribute, value = "packageVersion", strconv.Itoa(packageVersion+1)
	case app.Source.Followed():
		return "libre bump " + app.Name
	}
	file := "apps/" + app.Name + "/default.nix"
	if at := app.Positions[attribute]; at != nil {
		file = fmt.Sprintf("%s:%d", at.File, at.Line)
	}
	return "set " + attribute + " to " + value + " in " + file
}

// definitions finds what is wrong with the definitions of Containerfile images, and the
// bases that no digest pins: which image is built would depend on the day.
func (p *Publisher) definitions(ctx context.Context, images []*catalog.Spec) ([]Problem, error) {
	specs := containerfileSpecs(images)
	if len(specs) == 0 {
		return nil, nil
	}
	var all []Problem
	var defects []Defect
	unknown := map[string]bool{}
	err := p.Nix.FetchSources(ctx, specs, func(spec *catalog.Spec, source string, err error) error {
		component := spec.App + "/" + spec.Component
		defects = addDefects(defects, spec, source)
		if err != nil {
			if !unknown[component] {
				p.Watcher.Warn(spec.ID(), "whether its bases are pinned is not known without its source: "+err.Error())
			}
			unknown[component] = true
			return nil
		}
		pins, err := containerfile.ReadPins(spec, source)
		if err != nil {
			return nil // a defect, or found when it is built
		}
		for _, base := range pins.Unpinned {
			problem := Problem{component, fmt.Sprintf("base %s is not pinned by digest", base.Name), "libre bump --inputs"}
			if !slices.Contains(all, problem) {
				all = append(all, problem)
			}
		}
		return nil
	})
	for _, defect := range defects {
		if defect.Warning {
			p.Watcher.Warn(defect.IDs[0], defect.Err.Error())
			continue
		}
		all = append(all, Problem{defect.Name(), defect.Err.Error(), cmp.Or(defect.Fix, "edit apps/"+defect.IDs[0].App+"/default.nix")})
	}
	return all, err
}

// repackCommand raises an app's package version.
func repackCommand(app string) string { return "libre bump --repack " + app }

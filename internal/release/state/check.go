package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/vex"
)

// Problem is a reason why a release of the catalogue cannot be published.
type Problem struct {
	Name string `json:"release"` // app/variant
	What string `json:"problem"` // what is wrong
	Fix  string `json:"fix"`     // how to fix it
}

// Check finds the problems of the selected releases. An image that is published with another
// key under the same tag needs a higher package version. A version must not be lower than the
// newest published one. A definition must have no defect, and every base of a Containerfile
// must be pinned by digest. Check warns if it cannot check the bases because the source is
// missing.
func (r *Reader) Check(ctx context.Context, request nix.Request) ([]Problem, error) {
	releases, evaluation, err := r.Releases(ctx, request)
	if err != nil {
		return nil, err
	}
	var all []Problem
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		for problem := range strings.Lines(evaluation.Failures[app].Error()) {
			all = append(all, Problem{Name: app, What: strings.TrimSpace(problem), Fix: "edit " + fileOf(app, problem)})
		}
	}
	wrong, err := r.definitions(ctx, evaluation.Images)
	if err != nil {
		return all, err
	}
	all = append(all, wrong...)
	found := make([][]Problem, len(releases))
	failures := make([]error, len(releases))
	InParallel(Readers, releases, func(n int, rel *Release) {
		found[n], failures[n] = r.check(ctx, rel)
	})
	for n := range releases {
		switch {
		case fault.Is(failures[n], fault.Credentials) || ctx.Err() != nil:
			return all, failures[n]
		case failures[n] != nil:
			all = append(all, Problem{Name: releases[n].Name(), What: "unknown: " + fault.Reason(failures[n]), Fix: cmp.Or(fault.Fix(failures[n]), "run libre check again")})
		}
		all = append(all, found[n]...)
	}
	return all, nil
}

// fileOf returns the file of an app that has a problem.
func fileOf(app, problem string) string {
	if strings.HasPrefix(problem, vex.FileOf(app)) {
		return vex.FileOf(app)
	}
	return "apps/" + app + "/default.nix"
}

func (r *Reader) check(ctx context.Context, rel *Release) ([]Problem, error) {
	there, err := r.CompareAll(ctx, rel)
	if err != nil {
		return nil, err
	}
	if refusal := r.Refusal(rel); refusal != nil && there.State == NotPublished {
		return []Problem{{rel.Name(), fault.Reason(refusal), fault.Fix(refusal)}}, nil
	}
	if there.State == Moved {
		return movedProblems(rel, there), nil
	}
	if there.State == OtherContent {
		return []Problem{{rel.Name(), there.Other.String() + " is " + ErrOtherContent.Error() + ": " + there.Reason, RepackCommand(rel.App.Name)}}, nil
	}
	if there.IsElsewhere() {
		return []Problem{{rel.Name(), there.Reason, rel.PutBack()}}, nil
	}
	tags, err := r.Registry.Tags(ctx, rel.Ref().Repository)
	if err != nil {
		return nil, err
	}
	newest := newestRelease(tags)
	version, packageVersion, _ := catalog.ParseTag(newest)
	order := catalog.CompareVersions(version, rel.App.Version)
	if newest != "" && (order > 0 || order == 0 && packageVersion > rel.App.PackageVersion) {
		return []Problem{{rel.Name(), fmt.Sprintf("version %s is lower than %s, which is published", rel.Ref().Tag, newest), raiseCommand(rel.App, order == 0, packageVersion)}}, nil
	}
	return nil, nil
}

// movedProblems returns a problem for each tag that was moved.
func movedProblems(rel *Release, there Remote) []Problem {
	var all []Problem
	for _, tag := range there.Moved {
		all = append(all, Problem{rel.Name(), tag.Error() + ": this may be an attack", rel.PutBack()})
	}
	return all
}

// raiseCommand returns the command that raises an app's version above the published one. If
// upstream's versions cannot be listed, or if only the package version is too low, it returns
// the edit to make instead.
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

// definitions returns the defects of Containerfile images, and their bases that are not pinned
// by digest. A build on such a base could have another result each day.
func (r *Reader) definitions(ctx context.Context, images []*catalog.Spec) ([]Problem, error) {
	specs := containerfileSpecs(images)
	if len(specs) == 0 {
		return nil, nil
	}
	var all []Problem
	var defects []Defect
	unknown := map[string]bool{}
	err := r.Nix.FetchSources(ctx, specs, func(spec *catalog.Spec, source string, err error) error {
		component := spec.App + "/" + spec.Component
		defects = addDefects(defects, spec, source)
		if err != nil {
			if !unknown[component] {
				r.Warn(spec.ID(), "cannot tell whether its bases are pinned without its source: "+err.Error())
			}
			unknown[component] = true
			return nil
		}
		pins, err := containerfile.ReadPins(spec, source)
		if err != nil {
			return nil // a defect, or an error that the build will report
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
		if defect.Found.Warning {
			r.Warn(defect.IDs[0], defect.Found.Err.Error())
			continue
		}
		all = append(all, Problem{defect.Name(), defect.Found.Err.Error(), cmp.Or(defect.Found.Fix, "edit apps/"+defect.IDs[0].App+"/default.nix")})
	}
	return all, err
}

// RepackCommand returns the command that raises an app's package version.
func RepackCommand(app string) string { return "libre bump --repack " + app }

// ErrOtherContent means that a tag has other content than the catalogue's image.
var ErrOtherContent = errors.New("published with other content")

// OtherContentError returns the error for a tag with other content, and its fix. why may be
// "".
func OtherContentError(ref catalog.Ref, app, why string) error {
	if why != "" {
		why = " (" + why + ")"
	}
	return fmt.Errorf("%s is %w: raise the package version with %q%s", ref, ErrOtherContent, RepackCommand(app), why)
}

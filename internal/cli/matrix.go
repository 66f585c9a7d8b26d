package cli

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/history"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// needsWork are the actions that a build or a push carries out.
var needsWork = []state.Action{state.ToBuild, state.ToPush, state.ToSign, state.ToAttach, state.ToTag}

// matrixJSON is the matrix of `plan --matrix`.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrixinclude
type matrixJSON struct {
	Include []release.Job `json:"include"`
}

// printMatrix prints the jobs for what needs work, on one line.
func (e *env) printMatrix(ctx context.Context, ws *workspace, o planOptions, plans []state.Plan, images []*catalog.Spec) error {
	var working []state.Plan
	for _, plan := range plans {
		if slices.Contains(needsWork, plan.Action) {
			working = append(working, plan)
		}
	}
	known, err := e.estimates(ctx, ws, o, working)
	if err != nil {
		return err
	}
	jobs := release.Matrix(workOf(working, release.Groups(release.Targets(images)), known), min(o.matrix, release.MostJobs))
	content, err := json.Marshal(matrixJSON{jobs})
	if err != nil {
		return err
	}
	return e.Printf("%s\n", content)
}

// estimates returns what is known of the work for images: the times of former runs on this
// machine, and for other images the sizes of what is published.
func (e *env) estimates(ctx context.Context, ws *workspace, o planOptions, plans []state.Plan) (map[catalog.ID]release.Estimate, error) {
	runs, err := history.Read(ws.historyDir())
	if err != nil {
		return nil, err
	}
	times, _ := history.Times(runs, ws.dir)
	known := map[catalog.ID]release.Estimate{}
	var published []state.Plan
	for _, plan := range plans {
		if took, is := times[plan.ID.String()]; is {
			known[plan.ID] = release.Estimate{Seconds: took.Build + took.Publish}
		} else if plan.Former != (catalog.Ref{}) {
			published = append(published, plan)
		}
	}
	if len(published) == 0 {
		return known, nil
	}
	client, err := ws.registry(o.registry)
	if err != nil {
		return nil, err
	}
	for id, bytes := range state.PublishedSizes(ctx, client, published) {
		known[id] = release.Estimate{Bytes: bytes}
	}
	return known, nil
}

// workOf returns the work of plans, by release.
func workOf(plans []state.Plan, groups map[string]string, known map[catalog.ID]release.Estimate) []release.Work {
	var all []release.Work
	for _, plan := range plans {
		selection := plan.ID.App + "/*/" + plan.ID.Variant
		at := slices.IndexFunc(all, func(w release.Work) bool { return w.Selection == selection })
		if at < 0 {
			at = len(all)
			all = append(all, release.Work{Selection: selection, Group: groups[plan.ID.App]})
		}
		all[at].Images = append(all[at].Images, known[plan.ID])
	}
	return all
}

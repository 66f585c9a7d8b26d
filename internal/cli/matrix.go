package cli

import (
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
func (e *env) printMatrix(ws *workspace, most int, plans []state.Plan, images []*catalog.Spec) error {
	runs, err := history.Read(ws.historyDir())
	if err != nil {
		return err
	}
	times, _ := history.Times(runs, ws.dir)
	content, err := json.Marshal(matrixJSON{release.Matrix(workOf(plans, release.Groups(release.Targets(images)), times), min(most, release.MostJobs))})
	if err != nil {
		return err
	}
	return e.Printf("%s\n", content)
}

// workOf returns the releases that need work, with the times of their images.
func workOf(plans []state.Plan, groups map[string]string, times map[string]history.Took) []release.Work {
	var all []release.Work
	for _, plan := range plans {
		if !slices.Contains(needsWork, plan.Action) {
			continue
		}
		selection := plan.ID.App + "/*/" + plan.ID.Variant
		at := slices.IndexFunc(all, func(w release.Work) bool { return w.Selection == selection })
		if at < 0 {
			at = len(all)
			all = append(all, release.Work{Selection: selection, Group: groups[plan.ID.App]})
		}
		took := times[plan.ID.String()]
		all[at].Seconds = append(all[at].Seconds, took.Build+took.Publish)
	}
	return all
}

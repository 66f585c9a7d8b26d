package cli

import (
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
)

// buildWatcher shows the progress of each image.
type buildWatcher struct {
	env      *env
	progress *ui.Progress
}

var phases = map[build.Step]ui.Phase{
	build.StepEvaluate:      ui.Evaluating,
	build.StepWait:          ui.Waiting,
	build.StepBuild:         ui.Building,
	build.StepContainerfile: ui.Stepping,
	build.StepLayers:        ui.Layering,
	build.StepFetch:         ui.Fetching,
	build.StepPublish:       ui.Publishing,
}

func (w *buildWatcher) Evaluated(images int) {
	w.progress.Set("catalogue", ui.State{Phase: ui.Done, Message: imageCount(images)})
}

func imageCount(n int) string { return ui.Count(n, "image") }

func (w *buildWatcher) Progress(id catalog.ID, step build.Step, done, total int, line string) {
	w.progress.Set(id.String(), ui.State{Phase: phases[step], Done: done, Total: total, Message: line})
}

// nixName is the line for what Nix does for all images.
const nixName = "nix"

func (w *buildWatcher) Realising(all, left build.Realising) {
	total := all.Fetch + all.Build
	w.progress.Set(nixName, ui.State{
		Phase: ui.Realising, Done: total - left.Fetch - left.Build, Total: total,
		Message: strings.Join(realising("fetching", "building", left), "; "),
	})
}

func (w *buildWatcher) Realised(done build.Realising) {
	w.progress.Set(nixName, ui.State{Phase: ui.Done, Message: strings.Join(realising("fetched", "built", done), ", ")})
}

// realising: fetching 41 paths, 312 MiB; building 2 derivations.
func realising(fetch, build string, of build.Realising) []string {
	var parts []string
	if of.Fetch > 0 {
		paths := fetch + " " + ui.Count(of.Fetch, "path")
		if of.Download > 0 {
			paths += ", " + ui.Size(of.Download)
		}
		parts = append(parts, paths)
	}
	if of.Build > 0 || of.Fetch == 0 {
		parts = append(parts, build+" "+ui.Count(of.Build, "derivation"))
	}
	return parts
}

func (w *buildWatcher) Finished(result build.Result) {
	name := result.ID.String()
	switch result.State {
	case state.Failed:
		w.progress.Set(name, ui.State{Phase: ui.Failed, Message: result.Err.Error()})
		w.env.showTail(name, result.Err)
	case state.Built:
		digest := result.Digest
		if w.env.options.StderrTerminal {
			digest = "" // the table at the end has it
		}
		w.progress.Set(name, ui.State{Phase: ui.Done, Message: digest})
	case state.Unchanged:
		w.progress.Set(name, ui.State{Phase: ui.Skipped})
	case state.Skipped:
		w.progress.Set(name, ui.State{Phase: ui.Skipped, Message: result.Skipped[0].Reason})
	}
	if result.State == state.Skipped {
		return
	}
	for _, skip := range result.Skipped {
		w.env.Warnf("%s: skipped for %s: %s", name, skip.System, skip.Reason)
	}
}

func (w *buildWatcher) Warn(id catalog.ID, warning string) {
	if id == (catalog.ID{}) {
		w.env.Warnf("%s", warning)
		return
	}
	w.env.Warnf("%s: %s", id, warning)
}

package cli

import (
	"strings"
	"sync"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/history"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
	"github.com/libresh/libre/internal/web"
)

// buildWatcher shows the progress of each image, and measures it.
type buildWatcher struct {
	env      *env
	started  time.Time
	progress *ui.Progress
	traffic  *web.Traffic            // gets what nix downloads; nil: nobody looks
	before   map[string]history.Took // by image, how long it took last
	pushes   bool                    // images are published too

	mu         sync.Mutex
	downloaded int64
	sending    map[string]time.Time // since when images are published
	took       map[string]history.Took
}

// watchImages shows the progress of a run that makes images: bytes, and the time that is left
// if former runs made them.
func (e *env) watchImages(ws *workspace, started time.Time, pushes bool) *buildWatcher {
	w := &buildWatcher{
		env: e, started: started, progress: e.Progress(), traffic: &ws.traffic, pushes: pushes,
		sending: map[string]time.Time{}, took: map[string]history.Took{},
	}
	w.progress.Measure(&ws.traffic)
	w.progress.Set("catalogue", ui.State{Phase: ui.Evaluating})
	if runs, err := history.Read(ws.historyDir()); err == nil { // else there is no estimate
		var pace float64
		w.before, pace = history.Times(runs, ws.dir)
		w.progress.SetPace(pace)
	}
	for name := range w.before {
		w.expect(name, true)
	}
	return w
}

// expect says how long an image will take: to be published, and before that to be built.
func (w *buildWatcher) expect(name string, build bool) {
	before, seconds := w.before[name], 0.0
	if build {
		seconds += before.Build
	}
	if w.pushes {
		seconds += before.Publish
	}
	if seconds > 0 {
		w.progress.Expect(name, time.Duration(seconds*float64(time.Second)))
	}
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
	name := id.String()
	w.progress.Set(name, ui.State{Phase: phases[step], Done: done, Total: total, Message: line})
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.sending[name]; !known && step == build.StepPublish && w.sending != nil {
		w.sending[name] = time.Now()
	}
}

func (w *buildWatcher) Failing(id catalog.ID, tail []string) { w.env.showTail(id.String(), tail) }

// nixName is the line for what Nix does for all images.
const nixName = "nix"

func (w *buildWatcher) Realising(all, left build.Realising) {
	if w.traffic != nil {
		w.mu.Lock()
		downloaded := all.Download - left.Download
		w.traffic.Receive(max(0, downloaded-w.downloaded))
		w.downloaded = max(w.downloaded, downloaded)
		w.mu.Unlock()
	}
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
	w.expect(name, false)
	switch result.State {
	case state.Failed:
		w.progress.Set(name, ui.State{Phase: ui.Failed, Message: result.Err.Error()})
		w.env.showTail(name, result.Err.Tail)
	case state.Built, state.Unchanged:
		w.finishedImage(name, result)
	case state.Skipped:
		w.progress.Set(name, ui.State{Phase: ui.Skipped, Message: result.Skipped[0].Reason})
		return
	}
	for _, skip := range result.Skipped {
		w.env.Warnf("%s: skipped for %s: %s", name, skip.System, skip.Reason)
	}
}

// finishedImage shows that an image exists in the layout. A push is not done with it.
func (w *buildWatcher) finishedImage(name string, result build.Result) {
	if result.State == state.Built {
		w.measured(name, func(t *history.Took) { t.Build = result.Time.Seconds() })
	}
	switch {
	case w.pushes:
		w.progress.Set(name, ui.State{Phase: ui.Waiting, Message: "to be published"})
	case result.State == state.Built:
		digest := result.Digest
		if w.env.options.StderrTerminal {
			digest = "" // the table at the end has it
		}
		w.progress.Set(name, ui.State{Phase: ui.Done, Message: digest})
	default:
		w.progress.Set(name, ui.State{Phase: ui.Skipped})
	}
}

// Published shows what became of an image that was to be published.
func (w *buildWatcher) Published(id catalog.ID, outcome state.State, reason string) {
	name := id.String()
	switch outcome {
	case state.Published, state.Attached:
		w.progress.Set(name, ui.State{Phase: ui.Published})
		w.measured(name, func(t *history.Took) {
			if began, sent := w.sending[name]; sent { // an adopted image needs nothing but its release
				t.Publish = time.Since(began).Seconds()
			}
		})
	case state.Failed:
		w.progress.Set(name, ui.State{Phase: ui.Failed, Message: reason})
	default:
		w.progress.Set(name, ui.State{Phase: ui.Skipped, Message: reason})
	}
}

// measured keeps how long an image took.
func (w *buildWatcher) measured(name string, set func(*history.Took)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.took != nil {
		took := w.took[name]
		set(&took)
		w.took[name] = took
	}
}

func (w *buildWatcher) Warn(id catalog.ID, warning string) {
	if id == (catalog.ID{}) {
		w.env.Warnf("%s", warning)
		return
	}
	w.env.Warnf("%s: %s", id, warning)
}

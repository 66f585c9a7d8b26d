package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/history"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
)

// An image that was there already took no time, whatever its release took.
func TestOnlyWhatWasSentHasATime(t *testing.T) {
	e := testEnv(t.TempDir(), io.Discard)
	w := &buildWatcher{env: e, progress: e.Progress(), pushes: true, sending: map[string]time.Time{}, took: map[string]history.Took{}}
	defer w.progress.Close()
	there, sent := catalog.ID{App: "a", Component: "b", Variant: "default"}, catalog.ID{App: "a", Component: "c", Variant: "default"}
	w.Progress(sent, build.StepPublish, 0, 0, "push")
	w.Published(there, state.Published, "")
	w.Published(sent, state.Published, "")
	if took := w.took[there.String()].Publish; took != 0 {
		t.Errorf("what was there took %v seconds", took)
	}
	if took := w.took[sent.String()].Publish; took <= 0 || took > 60 {
		t.Errorf("what was sent took %v seconds", took)
	}
}

// An image that is built and not published yet is not done.
func TestPushIsNotDoneWithWhatIsBuilt(t *testing.T) {
	for _, pushes := range []bool{true, false} {
		var said bytes.Buffer
		e := newEnv(ui.Options{Stdout: io.Discard, Stderr: &said, Now: time.Now, Size: func() (int, int) { return 80, 24 }})
		w := &buildWatcher{env: e, progress: e.Progress(), pushes: pushes, took: map[string]history.Took{}}
		id := catalog.ID{App: "a", Component: "b", Variant: "default"}
		w.Progress(id, build.StepLayers, 0, 0, "")
		w.Finished(build.Result{ID: id, State: state.Built, Time: time.Minute})
		built := said.String()
		if pushes {
			w.Published(id, state.Published, "")
		}
		w.progress.Close()
		if w.took[id.String()].Build != 60 || strings.Contains(built, "done") == pushes || pushes != strings.Contains(said.String(), "published") {
			t.Errorf("pushes %t, took %v:\n%s", pushes, w.took, said.String())
		}
	}
}

package cli

import (
	"io"
	"testing"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/history"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
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

package build

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// heard is a watcher that records its calls.
type heard struct{ lines []string }

func (h *heard) Evaluated(int)                             {}
func (h *heard) Finished(Result)                           {}
func (h *heard) Published(catalog.ID, state.State, string) {}
func (h *heard) Failing(id catalog.ID, tail []string) {
	h.note("%s failing: %s", id.App, strings.Join(tail, "/"))
}
func (h *heard) Warn(_ catalog.ID, warning string) { h.note("warning: %s", warning) }
func (h *heard) Progress(id catalog.ID, step Step, done, total int, _ string) {
	h.note("%s %s %d/%d", id.App, step, done, total)
}
func (h *heard) Realising(_, left Realising) {
	h.note("left %d paths %d bytes %d builds", left.Fetch, left.Download, left.Build)
}
func (h *heard) Realised(done Realising) {
	h.note("did %d paths %d bytes %d builds", done.Fetch, done.Download, done.Build)
}
func (h *heard) note(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); len(h.lines) == 0 || h.lines[len(h.lines)-1] != line {
		h.lines = append(h.lines, line)
	}
}

// target returns an app with one image of one derivation.
func target(app, drv string) *release.Target {
	return &release.Target{ID: catalog.ID{App: app}, Specs: []*catalog.Spec{{Content: &catalog.NixImage{Rootfs: &catalog.Derivation{Drv: &drv, Out: strings.TrimSuffix(drv, ".drv")}}}}}
}

func TestProgressCountsDownWhatNixSaidItHasToDo(t *testing.T) {
	const a, b, gone = "/nix/store/a.drv", "/nix/store/b.drv", "/nix/store/c.drv"
	var h heard
	p := newBuildProgress(&h, []*release.Target{target("one", a), target("two", b), target("three", gone)}, (&run{bases: state.NewBases(state.Local{}, state.BaseOptions{})}).outputs)
	now := time.Unix(0, 0)
	p.now = func() time.Time { return now }
	p.event(nix.LogEvent{Kind: nix.LogDownloads, Progress: nix.LogProgress{Done: 400}})
	p.event(nix.LogEvent{Kind: nix.LogMissing, Missing: &nix.Missing{Build: []string{a, b}, Fetch: []string{"x", "y"}, Download: 100}})
	p.event(nix.LogEvent{Kind: nix.LogCopies, Progress: nix.LogProgress{Done: 1}})
	p.event(nix.LogEvent{Kind: nix.LogDownloads, Progress: nix.LogProgress{Done: 470}})
	p.event(nix.LogEvent{Kind: nix.LogCopies, Progress: nix.LogProgress{Done: 2}})
	p.event(nix.LogEvent{Kind: nix.LogBuildStarted, Drv: a})
	p.event(nix.LogEvent{Kind: nix.LogBuildStarted, Drv: b})
	now = now.Add(110 * time.Second)
	p.event(nix.LogEvent{Kind: nix.LogBuildStopped, Drv: a})
	p.event(nix.LogEvent{Kind: nix.LogBuildFailed, Drv: b, Failure: &nix.BuildFailure{Tail: []string{"cc", "error 1"}}})
	p.event(nix.LogEvent{Kind: nix.LogBuildStopped, Drv: b})
	p.end()
	var totals []string
	for _, line := range h.lines {
		if strings.HasPrefix(line, "left") || strings.HasPrefix(line, "did") {
			totals = append(totals, line)
		}
	}
	want := []string{
		"left 2 paths 100 bytes 2 builds", "left 1 paths 50 bytes 2 builds", "left 1 paths 30 bytes 2 builds",
		"left 0 paths 0 bytes 2 builds", "left 0 paths 0 bytes 1 builds", "did 2 paths 100 bytes 1 builds",
	}
	if !slices.Equal(totals, want) {
		t.Errorf("%q\nexpected\n%q", totals, want)
	}
	for _, line := range []string{"one build 0/1", "two build 0/1", "three wait 0/0", "two failing: cc/error 1"} {
		if !slices.Contains(h.lines, line) {
			t.Errorf("%q was not reported: %q", line, h.lines)
		}
	}
	if slices.Contains(h.lines, "three build 0/1") {
		t.Error("what a substituter has is counted as a build")
	}
	if got := p.spent(catalog.ID{App: "one"}); got != 110*time.Second {
		t.Errorf("the image's derivation was built for %s, expected 110s", got)
	}
	if got := p.spent(catalog.ID{App: "three"}); got != 0 {
		t.Errorf("nothing was built for it, for %s", got)
	}
}

// The time of an image's derivations that are built in parallel counts once.
func TestTimeOfDerivationsBuiltAtOnceCountsOnce(t *testing.T) {
	var h heard
	one := target("one", "/nix/store/a.drv")
	one.Specs = append(one.Specs, target("", "/nix/store/b.drv").Specs...)
	p := newBuildProgress(&h, []*release.Target{one}, (&run{bases: state.NewBases(state.Local{}, state.BaseOptions{})}).outputs)
	now := time.Unix(0, 0)
	p.now = func() time.Time { return now }
	event := func(kind nix.LogKind, drv string, later time.Duration) {
		now = now.Add(later)
		p.event(nix.LogEvent{Kind: kind, Drv: "/nix/store/" + drv + ".drv"})
	}
	p.event(nix.LogEvent{Kind: nix.LogMissing, Missing: &nix.Missing{Build: []string{"/nix/store/a.drv", "/nix/store/b.drv"}}})
	event(nix.LogBuildStarted, "a", 0)
	event(nix.LogBuildStarted, "b", time.Second)
	event(nix.LogBuildStopped, "a", time.Second)
	event(nix.LogBuildStopped, "b", time.Second)
	if got := p.spent(one.ID); got != 3*time.Second {
		t.Errorf("%s, expected 3s", got)
	}
}

// A failure can end other builds, which Nix starts again.
func TestProgressCountsWhatIsBuiltAgainOnce(t *testing.T) {
	const a = "/nix/store/a.drv"
	var h heard
	p := newBuildProgress(&h, nil, nil)
	p.event(nix.LogEvent{Kind: nix.LogMissing, Missing: &nix.Missing{Build: []string{a}}})
	for range 2 {
		p.event(nix.LogEvent{Kind: nix.LogBuildStarted, Drv: a})
		p.event(nix.LogEvent{Kind: nix.LogBuildStopped, Drv: a})
	}
	p.end()
	if want := []string{"left 0 paths 0 bytes 1 builds", "did 0 paths 0 bytes 1 builds"}; !slices.Equal(h.lines, want) {
		t.Errorf("%q, want %q", h.lines, want)
	}
}

// Nix may say that a derivation is built when its image is made already.
func TestProgressOfNixEndsWhenAnImageIsMade(t *testing.T) {
	const a = "/nix/store/a.drv"
	var h heard
	one := target("one", a)
	p := newBuildProgress(&h, []*release.Target{one}, (&run{bases: state.NewBases(state.Local{}, state.BaseOptions{})}).outputs)
	now := time.Unix(0, 0)
	p.now = func() time.Time { return now }
	p.event(nix.LogEvent{Kind: nix.LogMissing, Missing: &nix.Missing{Build: []string{a}}})
	p.event(nix.LogEvent{Kind: nix.LogBuildStarted, Drv: a})
	now = now.Add(2 * time.Second)
	p.imageBegins(one.ID)
	told := len(h.lines)
	now = now.Add(time.Minute)
	p.event(nix.LogEvent{Kind: nix.LogBuildStopped, Drv: a})
	if slices.ContainsFunc(h.lines[told:], func(line string) bool { return strings.HasPrefix(line, "one ") }) {
		t.Errorf("%q", h.lines)
	}
	if got := p.spent(one.ID); got != 2*time.Second {
		t.Errorf("it took %s, want 2s", got)
	}
}

package containerfile

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

// longBuild returns a Containerfile that never ends. It has all kinds of instructions that
// leave files behind.
func longBuild() string {
	text := "FROM base\nCOPY f /first\n"
	for i := range 3 {
		text += fmt.Sprintf("COPY f /%d\nENV N%d=x\nLABEL n%d=x\n", i, i, i)
	}
	return text + "RUN --mount=type=cache,target=/cache busybox mkdir /cache/d && busybox touch /cache/d/x && busybox chown -R 1000:1000 /cache/d && busybox sleep 600\n"
}

// However a build is interrupted, its processes end soon. The next build removes its files.
func TestInterruptedBuildLeavesNothing(t *testing.T) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // otherwise builds inherit from nohup that they ignore it
	eachUser(t, func(t *testing.T, p *place) {
		if _, got := p.build("FROM base\n", nil, nil); got.Err != "" {
			t.Fatal(got.Err)
		}
		for _, tt := range []struct {
			name      string
			interrupt func(libre, engine int) error
			later     bool // the next build removes what is left
		}{
			{"SIGINT", func(libre, _ int) error { return syscall.Kill(libre, syscall.SIGINT) }, false},
			{"SIGTERM to the group", func(libre, _ int) error { return syscall.Kill(-libre, syscall.SIGTERM) }, false},
			{"SIGHUP", func(libre, _ int) error { return syscall.Kill(libre, syscall.SIGHUP) }, false},
			{"SIGKILL of the engine", func(_, engine int) error { return syscall.Kill(engine, syscall.SIGKILL) }, false},
			{"SIGTERM of the engine", func(_, engine int) error { return repeatedly(engine, syscall.SIGTERM) }, false},
			{"SIGKILL of libre", func(libre, _ int) error { return syscall.Kill(libre, syscall.SIGKILL) }, true},
		} {
			t.Run(tt.name, func(t *testing.T) {
				interrupted(t, p, tt.interrupt, tt.later, func(o *order) { o.Known = p.builds.known })
			})
		}
	})
}

// The same without confinement, because the owner trusts upstreams.
func TestInterruptedUnconfinedBuildLeavesNothing(t *testing.T) {
	eachUser(t, func(t *testing.T, p *place) {
		if p.u.uid != 0 {
			return // without root, every build is confined
		}
		trusted := func(o *order) { o.TrustUpstream = true }
		path := p.withoutRuntimes()
		if _, got := p.build("FROM base\n", nil, trusted, path); got.Err != "" {
			t.Fatal(got.Err)
		}
		for name, tt := range map[string]struct {
			signal syscall.Signal
			later  bool
		}{"SIGTERM": {syscall.SIGTERM, false}, "SIGKILL": {syscall.SIGKILL, true}} {
			t.Run(name, func(t *testing.T) {
				interrupted(t, p, func(libre, _ int) error { return syscall.Kill(libre, tt.signal) }, tt.later, trusted, path)
			})
		}
	})
}

// repeatedly sends a signal until the process has ended. The engine forwards SIGTERM to the
// step, but loses a signal that comes before the step starts.
func repeatedly(pid int, signal syscall.Signal) error {
	err := syscall.Kill(pid, signal)
	go func() {
		for range testkit.Patience / (100 * time.Millisecond) {
			time.Sleep(100 * time.Millisecond)
			if syscall.Kill(pid, signal) != nil {
				return
			}
		}
	}()
	return err
}

// interrupted starts a build, interrupts it at its last step, and looks for leftovers.
func interrupted(t *testing.T, p *place, interrupt func(libre, engine int) error, later bool, change func(*order), env ...string) {
	began, before := time.Now(), p.stored()
	cmd, o := p.order(longBuild(), map[string]string{"f": "x"}, change, env...)
	work := o.Work
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	engine := 0
	err := testkit.Eventually(func() error {
		log, _ := os.ReadFile(o.Work + "/log")
		if !strings.Contains(string(log), "sleep 600\n") {
			return fmt.Errorf("the log ends with %q", log[max(0, len(log)-200):])
		}
		if engine = p.engine(); engine == 0 {
			return fmt.Errorf("the engine does not run")
		}
		return nil
	})
	if err != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		t.Fatal(err)
	}
	if mounts := p.mounts(); len(mounts) == 0 {
		t.Error("no mount to look for")
	}
	ready := time.Now()
	if err := interrupt(cmd.Process.Pid, engine); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	ends := func(what string, left func() bool) {
		if err := testkit.Eventually(func() error {
			if left() {
				return fmt.Errorf("%s is left: %q", what, p.left())
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	ends("the engine", func() bool { return p.engine() != 0 })
	next := ""
	if later {
		_, got := p.build("FROM base\n", nil, func(o *order) { change(o); o.Work = work }, env...)
		if got.Err != "" {
			t.Fatal(got.Err)
		}
		next = filepath.Dir(got.Layout)
	}
	ends("a process", func() bool { return len(p.left()) > 0 })
	t.Logf("ready after %s, ended after %s", ready.Sub(began).Round(time.Millisecond), time.Since(ready).Round(time.Millisecond))
	p.nothingIsLeft(t, work, next, before)
}

// left returns the processes that have the build's storage in their environment or arguments.
func (p *place) left() (found []string) {
	p.processes(func(pid int, program, said string) {
		found = append(found, fmt.Sprintf("%d %s %.200q", pid, program, said))
	})
	return found
}

// engine finds the process of the engine. A child has the same name until it runs another
// program, and does not count.
func (p *place) engine() (number int) {
	parents := map[int]int{}
	p.processes(func(pid int, program, said string) {
		if filepath.Base(program) == p.e.Name && strings.Contains(said, "\x00build\x00") && !strings.Contains(said, "unshare") {
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			_, fields, _ := strings.Cut(string(stat), ") ") // the name may contain spaces
			var state string
			var parent int
			_, _ = fmt.Sscan(fields, &state, &parent)
			parents[pid] = parent
		}
	})
	for pid, parent := range parents {
		if _, is := parents[parent]; !is {
			number = pid
		}
	}
	return number
}

func (p *place) processes(each func(pid int, program, said string)) {
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		environment, _ := os.ReadFile(folder + "/environ")
		said, _ := os.ReadFile(folder + "/cmdline")
		pid, _ := strconv.Atoi(filepath.Base(folder))
		if pid != os.Getpid() && strings.Contains(string(environment)+string(said), p.dir) {
			program, _ := os.Readlink(folder + "/exe")
			each(pid, program, string(said))
		}
	}
}

// mounts returns the mounts of the storage, in all namespaces.
func (p *place) mounts() []string {
	found := map[string]bool{}
	tables, _ := filepath.Glob("/proc/[0-9]*/mountinfo")
	for _, table := range tables {
		mounts, _ := os.ReadFile(table)
		for line := range strings.Lines(string(mounts)) {
			if strings.Contains(line, p.dir+"/storage") {
				found[line] = true
			}
		}
	}
	var lines []string
	for line := range found {
		lines = append(lines, line)
	}
	return lines
}

// nothingIsLeft checks that a build left nothing in the storage, and nothing in its folder
// except next, which is in use.
func (p *place) nothingIsLeft(t *testing.T, work, next string, before map[string]int) {
	t.Helper()
	if mounts := p.mounts(); len(mounts) > 0 {
		t.Errorf("%d mounts are left: %s", len(mounts), mounts[0])
	}
	for _, mapped := range []bool{false, true} {
		s := &storage{engine: p.e, dir: p.dir + "/storage", mapped: mapped}
		for _, pattern := range []string{work + "/.build-*", s.root() + "/try-*", s.runRootOf(p.u.uid)} {
			left, _ := filepath.Glob(pattern)
			for _, path := range left {
				if path != next {
					t.Errorf("%s is left", path)
				}
			}
		}
	}
	for what, count := range p.stored() {
		if count > before[what] {
			t.Errorf("%s has %d entries, %d before", what, count, before[what])
		}
	}
}

// stored counts the entries of the engine's storage: its lists by file, and layer folders.
func (p *place) stored() map[string]int {
	root := p.dir + "/storage/" + p.e.Name + "*"
	folders, _ := filepath.Glob(root + "/*/overlay/*")
	found := map[string]int{"overlay": len(folders)}
	for _, file := range []string{"containers/containers.json", "images/images.json", "layers/layers.json"} {
		paths, _ := filepath.Glob(root + "/*/*-" + file)
		for _, path := range paths {
			var entries []any
			text, _ := os.ReadFile(path)
			if err := json.Unmarshal(text, &entries); err != nil && len(text) > 0 {
				found[path+": "+err.Error()]++
			}
			found[path] = len(entries)
		}
	}
	return found
}

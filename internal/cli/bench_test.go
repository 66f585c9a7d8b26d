package cli

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/testkit"
	nixcode "github.com/libresh/libre/nix"
)

// buildLibre builds the program, as it is shipped.
func buildLibre(b *testing.B) string {
	b.Helper()
	programs, err := testkit.Programs()
	if err != nil {
		b.Fatal(err)
	}
	return filepath.Join(programs, "libre")
}

// BenchmarkStart is the CPU time of `libre version`, at most 40 ms wanted.
func BenchmarkStart(b *testing.B) {
	program := buildLibre(b)
	best := time.Hour
	for range 10 {
		cmd := exec.Command(program, "version")
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
		best = min(best, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	b.ReportMetric(float64(best.Microseconds())/1000, "cpu-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkList compares `libre list` with a bare `nix eval` of the same output, in a repository of
// 600 of this project's files. First a tracked file changes before each run; "again" nothing does.
func BenchmarkList(b *testing.B) {
	program, root := buildLibre(b), filepath.Join(b.TempDir(), "libre")
	bench.Command(b, "git", "clone", "--quiet", "../..", root)
	keepFiles(b, root, 600)
	run := func(name string, prepare func(), argv ...string) bench.Program {
		return bench.Program{Name: name, Prepare: prepare, Run: func() bench.Use {
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Dir = root
			return bench.Run(b, cmd)
		}}
	}
	readme := filepath.Join(root, "README.md")
	change := func() { // to what no former run of the benchmark had, because libre remembers evaluations
		if err := os.WriteFile(readme, []byte(rand.Text()), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	list := []string{program, "list"}
	eval := []string{"nix", "eval", "--json", ".#libre", "--apply", "libre: libre.apps", "--option", "system", "none",
		"--option", "build-users-group", "", "--extra-experimental-features", "nix-command flakes"}
	bench.Times(b, bench.Row{Table: "Nothing to do", Work: "list, first time after a change of one of 600 tracked files", Goal: 1.1}, run("libre list", change, list...), run("nix eval", change, eval...))
	bench.Times(b, bench.Row{Table: "Nothing to do", Work: "list, again"}, run("libre list", nil, list...), run("nix eval", nil, eval...))
}

// keepFiles removes files that no definition needs, until count tracked files are left.
func keepFiles(b *testing.B, repository string, count int) {
	b.Helper()
	out, err := exec.Command("git", "-C", repository, "ls-files").Output()
	if err != nil {
		b.Fatal(err)
	}
	files := strings.Fields(string(out))
	unneeded := slices.DeleteFunc(slices.Clone(files), func(file string) bool { return !strings.HasPrefix(file, "internal/") })
	if len(unneeded) < len(files)-count {
		b.Fatalf("more than %d files are needed", count)
	}
	bench.Command(b, "git", append([]string{"-C", repository, "rm", "--quiet", "--"}, unneeded[:len(files)-count]...)...)
}

// forgetEvaluations removes what libre remembers.
func forgetEvaluations(b *testing.B) {
	b.Helper()
	cache, err := os.UserCacheDir()
	if err == nil {
		err = os.RemoveAll(filepath.Join(cache, "libre", "evaluations"))
	}
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkNothingToDo compares a second `libre build --all` with the bare evaluation of the same
// images.
func BenchmarkNothingToDo(b *testing.B) {
	program, dir := buildLibre(b), manyApps(b, 20)
	build := bench.Program{Name: "libre build --all", Prepare: func() { forgetEvaluations(b) }, Run: func() bench.Use {
		cmd := exec.Command(program, "build", "--all", "--package-set", "host")
		cmd.Dir = dir
		return bench.Run(b, cmd)
	}}
	build.Run()
	evaluation := evaluate(b, "Nix's evaluation alone", dir, 1)
	bench.Times(b, bench.Row{Table: "Nothing to do", Work: "build of 40 built images, first time after a change"}, build, evaluation)
	build.Prepare = nil
	bench.Times(b, bench.Row{Table: "Nothing to do", Work: "build of 40 built images, again"}, build, evaluation)
}

// BenchmarkEvaluate evaluates the images of 500 apps in one process. The yardstick is evaluating
// a fifth of them five times.
func BenchmarkEvaluate(b *testing.B) {
	bench.Times(b, bench.Row{Table: "Nothing to do", Work: "evaluate 500 apps of two images, with the host package set"},
		evaluate(b, "all at once", manyApps(b, 500), 1), evaluate(b, "100 apps, five times", manyApps(b, 100), 5))
}

// evaluate evaluates all images of a catalogue, a number of times.
func evaluate(b *testing.B, name, dir string, times int) bench.Program {
	b.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Fatal(err)
	}
	n := &nix.Nix{CacheDir: filepath.Join(cache, "libre")}
	catalogue, err := n.OpenCatalogue(b.Context(), dir, nix.HostPackageName)
	if err != nil {
		b.Fatal(err)
	}
	return bench.Program{Name: name, Run: func() bench.Use {
		for range times {
			if _, err := catalogue.Evaluate(b.Context(), nix.Request{Patterns: catalog.All, Systems: []string{"x86_64-linux"}}); err != nil {
				b.Fatal(err)
			}
		}
		return bench.Use{}
	}}
}

// manyApps makes a catalogue of apps with two images each.
func manyApps(b *testing.B, apps int) (dir string) {
	b.Helper()
	dir = b.TempDir()
	for i := range apps {
		name := fmt.Sprintf("app%d", i)
		app := filepath.Join(dir, "apps", name)
		if err := os.MkdirAll(app, 0o755); err != nil {
			b.Fatal(err)
		}
		definition := fmt.Sprintf(`{ mkApp, pkgs, ... }: mkApp { name = %q; version = "1"; packageVersion = 1;
			components.web.package = pkgs.writeText "x" %q; components.worker.package = pkgs.writeText "y" %q; }`, name, name, name)
		if err := os.WriteFile(filepath.Join(app, "default.nix"), []byte(definition), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for _, name := range []string{"flake.nix", "flake.lock", ".gitignore"} {
		content, err := fs.ReadFile(nixcode.Template(), name)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	bench.Command(b, "git", "-C", dir, "init", "--quiet")
	bench.Command(b, "git", "-C", dir, "add", "--all")
	return dir
}

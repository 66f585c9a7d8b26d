package cli

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

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

// firstAndAgain are the least wall times of runs of libre that evaluate, and of runs
// that remember what the one before them evaluated.
func firstAndAgain(b *testing.B, dir string, argv ...string) (first, again time.Duration) {
	b.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Fatal(err)
	}
	forget := func() {
		if err := os.RemoveAll(filepath.Join(cache, "libre", "evaluations")); err != nil {
			b.Fatal(err)
		}
	}
	return fastest(b, dir, forget, argv...), fastest(b, dir, func() {}, argv...)
}

// fastest is the least wall time of some runs of a command: the one that other
// work on the machine disturbed least.
func fastest(b *testing.B, dir string, before func(), argv ...string) time.Duration {
	b.Helper()
	best := time.Hour
	for range 10 {
		before()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = dir
		started := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %v: %s", argv, err, out)
		}
		best = min(best, time.Since(started))
	}
	return best
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

// BenchmarkList compares `libre list` with a bare `nix eval` of the same output,
// at most 1.3 times wanted; "first" evaluates itself.
func BenchmarkList(b *testing.B) {
	program, root := buildLibre(b), "../.."
	first, again := firstAndAgain(b, root, program, "list")
	bare := fastest(b, root, func() {}, "nix", "eval", "--json", ".#libre", "--apply", "libre: libre.apps", "--option", "system", "none",
		"--option", "build-users-group", "", "--extra-experimental-features", "nix-command flakes")
	b.ReportMetric(float64(first)/float64(bare), "times-nix-eval-first")
	b.ReportMetric(float64(again)/float64(bare), "times-nix-eval")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkNothingToDo compares a second `libre build --all` with the bare
// evaluation of the same images, at most 1.5 times wanted; "first" evaluates itself.
func BenchmarkNothingToDo(b *testing.B) {
	program := buildLibre(b)
	dir := b.TempDir()
	for i := range 20 {
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
	for _, args := range [][]string{{"git", "init", "--quiet"}, {"git", "add", "--all"}, {program, "build", "--all", "--package-set", "host"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	first, again := firstAndAgain(b, dir, program, "build", "--all", "--package-set", "host")

	cache, err := os.UserCacheDir()
	if err != nil {
		b.Fatal(err)
	}
	n := &nix.Nix{CacheDir: filepath.Join(cache, "libre")}
	catalogue, err := n.OpenCatalogue(context.Background(), dir, nix.HostPackageName)
	if err != nil {
		b.Fatal(err)
	}
	bare := time.Hour
	for range 10 {
		started := time.Now()
		if _, err := catalogue.Evaluate(context.Background(), nix.Request{Patterns: catalog.All, Systems: []string{"x86_64-linux"}}); err != nil {
			b.Fatal(err)
		}
		bare = min(bare, time.Since(started))
	}
	b.ReportMetric(float64(first)/float64(bare), "times-evaluation-first")
	b.ReportMetric(float64(again)/float64(bare), "times-evaluation")
	b.ReportMetric(0, "ns/op")
}

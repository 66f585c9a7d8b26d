package nix

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// onlyPrograms makes PATH contain only these programs.
func onlyPrograms(t *testing.T, names ...string) {
	t.Helper()
	bin := t.TempDir()
	for _, name := range names {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
}

// added counts the calls that added something to the store.
func added(calls [][]string) (count int) {
	for _, words := range calls {
		if slices.Contains(words, "--add") {
			count++
		}
	}
	return count
}

func TestMetadataPutsNoToolchainIntoTheStore(t *testing.T) {
	requireNix(t)
	calls := recordCalls(t)
	onlyPrograms(t, "nix", "nix-store", "nix-instantiate", "git", "sh", "mktemp") // no go, no busybox
	n := &Nix{CacheDir: t.TempDir(), OutcomeDir: t.TempDir(), LogDir: t.TempDir()}
	dir := writeCatalogue(t, one(server))
	for range 2 {
		catalogue, err := n.OpenCatalogue(context.Background(), dir, HostPackageName)
		if err != nil {
			t.Fatal(err)
		}
		evaluation, err := catalogue.Evaluate(context.Background(), Request{Patterns: catalog.All})
		if err != nil {
			t.Fatal(err)
		}
		if app := evaluation.Apps["one"]; app.Version != "1.0" || app.Components["web"].Kind != "nix" {
			t.Errorf("evaluated %+v", app)
		}
		// libre's code and the code of the package set.
		if got := added(calls()); got != 2 {
			t.Errorf("%d sources were put into the store, expected 2", got)
		}
		// An evaluation of images says what is missing.
		_, err = catalogue.Evaluate(context.Background(), Request{Patterns: catalog.All, AllSystems: true})
		if err == nil || !strings.Contains(err.Error(), "no Go toolchain") {
			t.Errorf("images without Go: %v", err)
		}
	}
}

// The cached outcome of an evaluation without the host's parts is not used for one that needs
// them, and the other way round.
func TestOutcomesWithAndWithoutImagesAreKeptApart(t *testing.T) {
	n := requireNix(t)
	n.OutcomeDir = t.TempDir()
	calls := recordCalls(t)
	dir := writeCatalogue(t, one(server))
	for _, command := range [][]string{{"init", "--quiet"}, {"add", "--all"}} {
		if err := exec.Command("git", append([]string{"-C", dir}, command...)...).Run(); err != nil {
			t.Fatal(err)
		}
	}
	evaluations := func() (count int) {
		for _, words := range calls() {
			if words[1] == "eval" {
				count++
			}
		}
		return count
	}
	for round := range 2 {
		for _, request := range []Request{{Patterns: catalog.All}, {Patterns: catalog.All, AllSystems: true}} {
			catalogue, err := n.OpenCatalogue(context.Background(), dir, HostPackageName)
			if err != nil {
				t.Fatal(err)
			}
			evaluation, err := catalogue.Evaluate(context.Background(), request)
			if err != nil {
				t.Fatal(err)
			}
			if images := len(evaluation.Images); (images == 0) != request.metadata() {
				t.Errorf("round %d: %d images for %+v", round, images, request)
			}
		}
		if got := evaluations(); got != 2 {
			t.Errorf("after round %d: %d evaluations, expected 2", round, got)
		}
	}
}

// The evaluation of doctor fails if every evaluation would, and has nix's message.
func TestTryEvaluationFindsANixThatCannotEvaluate(t *testing.T) {
	n := requireNix(t)
	n.CacheDir = t.TempDir()
	if err := n.TryEvaluation(context.Background()); err != nil {
		t.Error(err)
	}
	for _, says := range []string{"experimental Nix feature 'flakes' is disabled", "cannot connect to socket at '/nix/var/nix/daemon-socket/socket'"} {
		bin := t.TempDir()
		script := "#!/bin/sh\necho \"error: " + says + "\" >&2\nexit 1\n"
		if err := os.WriteFile(filepath.Join(bin, "nix"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Run(says, func(t *testing.T) {
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			if err := n.TryEvaluation(context.Background()); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v, expected %s", err, says)
			}
		})
	}
}

// The key of an image that an engine builds on pinned images needs no package set. Neither does
// the evaluation of an image that is built on another image of the catalogue.
func TestWhatNeedsNoPackagesForcesNone(t *testing.T) {
	n := requireNix(t)
	dir := writeCatalogue(t, one(server+`  components.page = { containerfile = "Containerfile"; bases = { base = "one/web"; tools = "one/web/debug"; }; };
  components.pinned = { containerfile = "Containerfile"; bases.base = "sha256:`+strings.Repeat("0", 64)+`"; };
  source.path = ./.;
  identifiers.cpe = "cpe:2.3:a:x:one:1.0:*:*:*:*:*:*:*";`)+"-- apps/one/Containerfile --\nFROM base\n")
	catalogue, err := n.OpenCatalogue(context.Background(), dir, HostPackageName)
	if err != nil {
		t.Fatal(err)
	}
	evaluation, err := catalogue.Evaluate(context.Background(), Request{Patterns: catalog.All, Systems: []string{"x86_64-linux"}, NoPackages: true})
	if err != nil || len(evaluation.Failures) > 0 || len(evaluation.Images) != 6 {
		t.Fatalf("%v, %+v", err, evaluation)
	}
	for _, spec := range evaluation.Images {
		if spec.Software == nil || spec.Software.Identifiers.CPE == "" || spec.Software.Program != "" {
			t.Errorf("%s: software %+v", spec.ID(), spec.Software)
		}
	}
}

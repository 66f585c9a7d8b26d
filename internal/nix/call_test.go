package nix

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// recordCalls puts a nix and a nix-store first in PATH. They record their arguments and run the
// real programs. The returned function reads the calls so far.
func recordCalls(t *testing.T) func() [][]string {
	t.Helper()
	dir, records := t.TempDir(), t.TempDir()
	for _, name := range []string{"nix", "nix-store"} {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\0' %s \"$@\" > %s/$$\nexec %s \"$@\"\n", name, records, program)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() [][]string {
		files, err := os.ReadDir(records)
		if err != nil {
			t.Fatal(err)
		}
		var calls [][]string
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(records, file.Name()))
			if err != nil {
				t.Fatal(err)
			}
			calls = append(calls, strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00"))
		}
		return calls
	}
}

// misplaced returns what Nix from 2.26 on reads too late in a command line: a flag after the
// subject of the command, or after a flake reference.
func misplaced(words []string) string {
	values := map[string]int{"--option": 2, "--override-input": 2, "--extra-experimental-features": 1, "--apply": 1, "--expr": 1,
		"--flake": 1, "--update-input": 1, "--add-root": 1, "--log-format": 1, "--builders": 1, "--to": 1}
	rest := words[1:]
	for len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		rest = rest[1:] // eval, flake lock
	}
	before, features := "", words[0] != "nix"
	for i := 0; i < len(rest); i++ {
		switch word := rest[i]; {
		case !strings.HasPrefix(word, "-"):
			before = word
		case word == "--override-input":
			before = word
			i += 2
		case before != "":
			return word + " stands behind " + before
		default:
			features = features || word == "--extra-experimental-features"
			i += values[word]
		}
	}
	if !features {
		return "no features"
	}
	return ""
}

func TestNixCallsHaveFlagsBeforeArguments(t *testing.T) {
	requireNix(t)
	key := cacheKey(t)
	calls := recordCalls(t)
	ctx := context.Background()
	n := &Nix{CacheDir: t.TempDir(), LogDir: t.TempDir(), Options: []string{"--option", "download-attempts", "1", "--builders", ""}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := n.Version(ctx)
	must(err)
	_, err = n.Settings(ctx)
	must(err)

	dir := writeCatalogue(t, one(server))
	catalogue, err := n.OpenCatalogue(ctx, dir, Nixpkgs)
	must(err)
	_, err = catalogue.Evaluate(ctx, Request{Patterns: catalog.All})
	must(err)
	input := filepath.Join(dir, "input")
	must(os.Mkdir(input, 0o755))
	must(os.WriteFile(filepath.Join(dir, "flake.lock"), []byte(`{"nodes":{"root":{}},"root":"root","version":7}`), 0o644))
	must(os.WriteFile(filepath.Join(dir, "flake.nix"), []byte(fmt.Sprintf(
		"{ inputs.x = { url = \"path:%s\"; flake = false; }; inputs.libre.url = \"path:%[1]s\"; outputs = _: { }; }\n", input)), 0o644))
	n.AllowLocalInputs = true // the input and the repository are local
	must(catalogue.UpdateLock(ctx, nil))
	must(catalogue.UpdateLock(ctx, []string{"x"}))

	repository := t.TempDir()
	must(exec.Command("git", "-C", repository, "init", "--quiet").Run())
	must(exec.Command("git", "-C", repository, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--allow-empty", "-m", "x").Run())
	commit, err := exec.Command("git", "-C", repository, "rev-parse", "HEAD").Output()
	must(err)
	_, err = n.GitHash(ctx, "file://"+repository, strings.TrimSpace(string(commit)))
	must(err)

	source, err := n.AddSource(ctx, input)
	must(err)
	_, err = n.ReadStore(ctx, []string{source.Path})
	must(err)
	_, err = n.FixedOutputs(ctx, []string{source.Path}, nil)
	must(err)
	_, err = n.Valid(ctx, []string{source.Path})
	must(err)
	must(n.CopyTo(ctx, BinaryCache{To: "file://" + t.TempDir(), KeyFile: key}, []string{source.Path}))
	// There is no such derivation: only the command line of nix matters here.
	_, _ = n.Realise(ctx, []Output{{Drv: source.Path + ".drv"}}, t.TempDir(), func(LogEvent) {})

	var made []string
	for _, words := range calls() {
		made = append(made, strings.Join(words[:3], " "))
		if what := misplaced(words); what != "" {
			t.Errorf("%s\n%q", what, words)
		}
	}
	for _, call := range []string{"nix --version", "nix show-config", "nix eval", "nix flake lock", "nix flake update", "nix copy",
		"nix-store --add", "nix-store --query --hash", "nix-store --query --requisites", "nix-store --dump-db", "nix-store --check-validity", "nix-store --realise"} {
		if !slices.ContainsFunc(made, func(words string) bool { return strings.HasPrefix(words, call) }) {
			t.Errorf("%s was not called; called were %q", call, made)
		}
	}
}

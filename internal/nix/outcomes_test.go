package nix

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

// remembering is a flake in a git repository. Its nix counts evaluations.
type remembering struct {
	nix   *Nix
	flake Flake
	runs  string // a file with a line for each evaluation
	after string // a file with a script that nix runs after it has evaluated
}

const rememberedFlake = `{
  inputs.given.url = "github:example/given";
  outputs = { self, given, ... }: {
    libre = {
      text = builtins.readFile ./text;
      files = builtins.attrNames (builtins.readDir ./folder);
      here = builtins.readFileType or (_: "") ./folder/link;
      rev = self.rev or "dirty";
      given = given.value;
      drv = (derivation { name = "outcome"; system = "x86_64-linux"; builder = "/none"; text = builtins.readFile ./text; }).drvPath;
    };
  };
}
`

func remember(t *testing.T) *remembering {
	t.Helper()
	real := requireNix(t)
	testkit.Require(t, "git")
	program, err := exec.LookPath("nix")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := &remembering{
		nix:  &Nix{CacheDir: real.CacheDir, OutcomeDir: filepath.Join(t.TempDir(), "outcomes"), LogDir: real.LogDir},
		runs: filepath.Join(dir, "runs"), after: filepath.Join(dir, "bin/after"),
	}
	script := fmt.Sprintf("#!/bin/sh\necho >> %s\n%s \"$@\"\nstatus=$?\ntest ! -e %s || . %s\nexit $status\n", r.runs, program, r.after, r.after)
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "nix"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	r.flake = Flake{Dir: filepath.Join(dir, "flake"), Overrides: []Override{{"given", r.given(t, "1")}}}
	r.write(t, "flake.nix", rememberedFlake)
	r.write(t, "text", "one")
	r.write(t, "folder/a", "")
	r.git(t, "init", "--quiet")
	r.git(t, "add", ".")
	r.git(t, "commit", "--quiet", "--message", "one")
	return r
}

// given returns an input that exists and is locked.
func (r *remembering) given(t *testing.T, value string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte("{ outputs = _: { value = "+value+"; }; }"), 0o644); err != nil {
		t.Fatal(err)
	}
	source, err := (&Nix{}).AddSource(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return source.FlakeRef()
}

func (r *remembering) path(name string) string { return filepath.Join(r.flake.Dir, name) }

func (r *remembering) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r *remembering) git(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=T", "-c", "user.email=t@example.org"}, args...)...)
	cmd.Dir = r.flake.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// evaluate returns what was evaluated, and whether nix ran for it.
func (r *remembering) evaluate(t *testing.T) (result map[string]any, ran bool) {
	t.Helper()
	before := r.count()
	if err := r.nix.Eval(context.Background(), r.flake, "libre", "x: x", &result); err != nil {
		t.Fatal(err)
	}
	return result, r.count() > before
}

func (r *remembering) count() int {
	text, _ := os.ReadFile(r.runs)
	return strings.Count(string(text), "\n")
}

// A change of anything that an evaluation depends on causes a new evaluation, with nix's
// result. Other changes do not.
func TestOutcomes(t *testing.T) {
	r := remember(t)
	bare := *r
	bare.nix = &Nix{CacheDir: r.nix.CacheDir, LogDir: r.nix.LogDir}
	for _, step := range []struct {
		what string
		do   func()
		runs bool
	}{
		{"first", func() {}, true},
		{"nothing", func() {}, false},
		{"a file's time", func() { _ = os.Chtimes(r.path("text"), time.Now(), time.Now().Add(time.Hour)) }, false},
		{"a file that is not tracked", func() { r.write(t, "folder/untracked", "") }, false},
		{"a file's content, of the same size and time", func() {
			info, err := os.Stat(r.path("text"))
			if err != nil {
				t.Fatal(err)
			}
			r.write(t, "text", "two")
			_ = os.Chtimes(r.path("text"), info.ModTime(), info.ModTime())
		}, true},
		{"what was before", func() { r.write(t, "text", "one") }, false},
		{"a file that is tracked now", func() { r.git(t, "add", "folder/untracked") }, true},
		{"a commit", func() { r.git(t, "commit", "--quiet", "--message", "two") }, true},
		{"a commit of the same", func() { r.git(t, "commit", "--quiet", "--allow-empty", "--message", "three") }, true},
		{"a link", func() {
			if err := os.Symlink("a", r.path("folder/link")); err != nil {
				t.Fatal(err)
			}
			r.git(t, "add", "folder/link")
		}, true},
		{"where a link points to", func() {
			if err := os.Remove(r.path("folder/link")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("untracked", r.path("folder/link")); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a file that is executable", func() { _ = os.Chmod(r.path("text"), 0o755) }, true},
		{"a tracked file that is gone", func() { _ = os.Remove(r.path("folder/a")) }, true},
		{"another input", func() { r.flake.Overrides[0].Ref = r.given(t, "2") }, true},
		{"another option", func() { r.nix.Options = []string{"--option", "cores", "1"} }, true},
		{"nothing again", func() {}, false},
		{"a changed flake", func() {
			r.write(t, "flake.nix", strings.Replace(rememberedFlake, "libre = {", "libre = { more = 1;", 1))
		}, true},
	} {
		step.do()
		got, ran := r.evaluate(t)
		bare.flake = r.flake
		want, _ := bare.evaluate(t)
		if ran != step.runs || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: nix ran %v, want %v\ngot  %v\nwant %v", step.what, ran, step.runs, got, want)
		}
	}

	// A store path that is gone is made again.
	got, _ := r.evaluate(t)
	drv := got["drv"].(string)
	if out, err := exec.Command("nix-store", "--delete", drv).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, ran := r.evaluate(t); !ran || !exists(drv) {
		t.Errorf("%s is lost: nix ran %v", drv, ran)
	}

	// A damaged file counts as missing.
	files, err := filepath.Glob(filepath.Join(r.nix.OutcomeDir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, content := range []string{"", "[]", "null", "{", "[1]\n{}", "[\"/nix/store/none\"]\n{}"} {
		for _, file := range files {
			if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if again, ran := r.evaluate(t); !ran || fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("%q: nix ran %v: %v", content, ran, again)
		}
	}
}

// Outcomes of evaluations that are impure, or may be, are not cached.
func TestNoOutcome(t *testing.T) {
	for what, change := range map[string]func(t *testing.T, r *remembering){
		"no repository": func(t *testing.T, r *remembering) {
			if err := os.RemoveAll(r.path(".git")); err != nil {
				t.Fatal(err)
			}
		},
		"a repository in the repository": func(t *testing.T, r *remembering) {
			r.git(t, "init", "--quiet", "inner")
			r.git(t, "-C", "inner", "commit", "--quiet", "--allow-empty", "--message", "inner")
			r.git(t, "add", "inner")
		},
		"a repository that is elsewhere": func(t *testing.T, r *remembering) {
			other := t.TempDir()
			r.git(t, "config", "core.worktree", other)
			if err := os.CopyFS(other, os.DirFS(r.flake.Dir)); err != nil {
				t.Fatal(err)
			}
		},
		"a change while nix evaluates": func(t *testing.T, r *remembering) {
			if err := os.WriteFile(r.after, []byte("date +%N >> "+r.path("folder/a")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"nowhere to keep it": func(t *testing.T, r *remembering) {
			if err := os.WriteFile(r.nix.OutcomeDir, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := remember(t)
			change(t, r)
			for range 2 {
				if _, ran := r.evaluate(t); !ran {
					t.Error("nix did not run")
				}
			}
		})
	}
}

func TestLocked(t *testing.T) {
	overrides := []Override{{"libre", "path:/x"}, {"nixpkgs", "path:/y"}}
	const begin = "warning: not writing modified lock file of flake 'git+file:///c':\n"
	for log, want := range map[string]bool{
		"":                                  true,
		"warning: Git tree '/c' is dirty\n": true,
		begin + "• Added input 'libre':\n    'path:/x'\n• Updated input 'nixpkgs':\n    'a'\n  → 'b'\n":                     true,
		begin + "• Added input 'libre/nixpkgs':\n    follows 'nixpkgs'\n":                                                   true,
		"\x1b[35;1mwarning:\x1b[0m not writing modified lock file of flake 'x':\n\x1b[32;1m• Added input 'libre':\x1b[0m\n": true,
		begin + "• Added input 'libre':\n    'path:/x'\n• Added input 'extra':\n    'path:/z'\n":                            false,
		begin + "• Removed input 'extra'\n":                                                                                 false,
		begin + "in words that nobody knows\n":                                                                              false,
	} {
		if got := locked(log, overrides); got != want {
			t.Errorf("%q: %v", log, got)
		}
	}
}

// The most recently used outcomes are kept.
func TestPruneOutcomes(t *testing.T) {
	n := &Nix{OutcomeDir: t.TempDir()}
	for i := range maxOutcomes + 10 {
		file := filepath.Join(n.OutcomeDir, fmt.Sprintf("%d.json", i))
		text, err := json.Marshal([]string{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(text, "\n{}"...), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Duration(i-1000)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := n.loadOutcome(&evaluation{name: "0"}); !ok {
		t.Error("the first is not there")
	}
	n.pruneOutcomes()
	var kept []string
	for i := range maxOutcomes + 10 {
		if exists(filepath.Join(n.OutcomeDir, fmt.Sprintf("%d.json", i))) {
			kept = append(kept, fmt.Sprint(i))
		}
	}
	if len(kept) != maxOutcomes || kept[0] != "0" || slices.Contains(kept, "10") || !slices.Contains(kept, "11") {
		t.Errorf("kept %v", kept)
	}
}

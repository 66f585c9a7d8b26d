package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/libresh/libre/internal/settings"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/ui"
)

// testEnv is an env for a folder, without a command line.
func testEnv(dir string, stdout io.Writer) *env {
	e := newEnv(ui.Options{Stdout: stdout, Stderr: io.Discard, Now: time.Now, Size: func() (int, int) { return 80, 24 }})
	e.directory = dir
	return e
}

// withoutPrograms makes PATH a folder of programs that note that they were started, and the
// cache an empty folder. It returns a function that fails the test if any was started, or
// if the cache was written to.
func withoutPrograms(t *testing.T) func(doing string) {
	t.Helper()
	bin, cache, started := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "started")
	for _, name := range []string{"nix", "nix-store", "git", "buildah", "podman", "docker"} {
		script := "#!/bin/sh\necho " + name + " \"$@\" >> " + started + "\nexit 1\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	t.Setenv("XDG_CACHE_HOME", cache)
	return func(doing string) {
		t.Helper()
		if programs, err := os.ReadFile(started); err == nil {
			t.Errorf("%s started %s", doing, programs)
			os.Remove(started)
		}
		if written, _ := os.ReadDir(cache); len(written) > 0 {
			t.Errorf("%s wrote %s to the cache", doing, written)
		}
	}
}

// catalogueWith is a folder that counts as a catalogue, with a libre.yaml.
func catalogueWith(t *testing.T, settings string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"flake.nix": "{ outputs = _: { }; }", "libre.yaml": settings} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestHelpStartsNothing(t *testing.T) {
	startedNothing := withoutPrograms(t)
	t.Chdir(catalogueWith(t, "this: is wrong"))
	lines := [][]string{{}, {"help"}, {"version"}, {"completion", "bash"}, {"completion", "zsh"}, {"completion", "fish"}, {"__complete", "bu"}, {"__complete", "build", "--"}}
	for _, command := range newEnv(ui.Options{}).rootCommand().Commands() {
		lines = append(lines, []string{command.Name(), "--help"})
	}
	for _, line := range lines {
		var stdout bytes.Buffer
		if code := Main(t.Context(), line, ui.Options{Stdout: &stdout, Stderr: io.Discard}); code != exitDone || stdout.Len() == 0 {
			t.Errorf("%s: exit code %d and %q", line, code, &stdout)
		}
		startedNothing(strings.Join(line, " "))
	}
}

func TestWorkspaceIsFoundOnceAndStartsNothing(t *testing.T) {
	startedNothing := withoutPrograms(t)
	e := testEnv(catalogueWith(t, "registry: registry.example/coop"), io.Discard)
	first, err := e.workspace()
	if err != nil || first.settings.Registry != "registry.example/coop" {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, _ := e.workspace(); again != first {
		t.Error("the settings were read twice")
	}
	startedNothing("finding the workspace")
}

// What is wrong with the options is an error before the catalogue is opened.
func TestOptionsAreCheckedFirst(t *testing.T) {
	startedNothing := withoutPrograms(t)
	dir := catalogueWith(t, "")
	one := imageOptions{selection: []string{"one"}}
	for name, run := range map[string]func(context.Context, *env) error{
		"archive on stdout": func(ctx context.Context, e *env) error {
			return e.runBuild(ctx, buildOptions{images: one, jobs: 1, archive: "-"})
		},
		"archive nowhere": func(ctx context.Context, e *env) error {
			return e.runBuild(ctx, buildOptions{images: one, jobs: 1, archive: "/no/such/x.tar"})
		},
		"archive is a folder": func(ctx context.Context, e *env) error {
			return e.runBuild(ctx, buildOptions{images: one, jobs: 1, archive: dir})
		},
		"unknown engine": func(ctx context.Context, e *env) error {
			return e.runBuild(ctx, buildOptions{images: one, jobs: 1, load: "rkt"})
		},
		"unknown system": func(ctx context.Context, e *env) error {
			return e.runPlan(ctx, planOptions{images: imageOptions{selection: []string{"one"}, systems: []string{"z80"}}})
		},
		"all and some": func(ctx context.Context, e *env) error {
			return e.runStatus(ctx, statusOptions{selection: []string{"one"}, all: true})
		},
		"unknown group": func(ctx context.Context, e *env) error {
			return e.runCheck(ctx, checkOptions{selection: []string{"@none"}})
		},
		"no registry": func(ctx context.Context, e *env) error {
			return e.runPush(ctx, pushOptions{selection: []string{"one"}})
		},
		"bad moving tag": func(ctx context.Context, e *env) error {
			return e.runPush(ctx, pushOptions{selection: []string{"one"}, alsoTag: []string{"{patch}"}})
		},
		"unknown format": func(ctx context.Context, e *env) error {
			return e.runSBOM(ctx, sbomOptions{images: one, format: "yaml"})
		},
		"group without pr": func(ctx context.Context, e *env) error {
			return e.runBump(ctx, bumpOptions{selection: []string{"one"}, group: "x"})
		},
		"repository": func(ctx context.Context, e *env) error {
			return e.runShow(ctx, showOptions{selection: []string{"registry.example/x"}})
		},
		"two repositories": func(ctx context.Context, e *env) error {
			return e.runList(ctx, listOptions{selection: []string{"registry.example/x", "one"}})
		},
		"rebuild reference": func(ctx context.Context, e *env) error {
			return e.runVerify(ctx, verifyOptions{selection: []string{"registry.example/x:1"}, rebuild: true})
		},
		"unknown signer": func(ctx context.Context, e *env) error {
			return e.runVerify(ctx, verifyOptions{selection: []string{"registry.example/x:1"}})
		},
		"unknown forge": func(ctx context.Context, e *env) error {
			return e.runInit(ctx, initOptions{dir: t.TempDir(), forge: "sourcehut"}, func(string) bool { return false })
		},
	} {
		var stdout bytes.Buffer
		if err := run(t.Context(), testEnv(dir, &stdout)); exitCode(err) != exitUsage {
			t.Errorf("%s: %v", name, err)
		}
		if stdout.Len() > 0 {
			t.Errorf("%s: printed %q", name, &stdout)
		}
		startedNothing(name)
	}
}

func TestServeAnswersUntilItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- testEnv(t.TempDir(), write).runServe(ctx, serveOptions{writable: t.TempDir(), limit: 1})
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(line)
	response, err := http.Get("http://" + fields[len(fields)-1] + "/v2/")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	response.Body.Close()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestKeygenNeverReplacesAKey(t *testing.T) {
	t.Setenv(sign.PasswordVariable, "secret")
	dir := t.TempDir()
	e, o := testEnv(dir, io.Discard), keygenOptions{output: filepath.Join(dir, "coop")}
	if err := e.runKeygen(o); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(o.output + ".key")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.runKeygen(o); err == nil {
		t.Error("a second key was made under the same name")
	}
	if again, err := os.ReadFile(o.output + ".key"); err != nil || !bytes.Equal(again, first) {
		t.Errorf("the key has changed: %v", err)
	}
}

// A flag names a private key where something is signed, and a public one where signatures
// are verified, unless the name of its file says otherwise.
func TestKeyFlag(t *testing.T) {
	private := func(file string) *sign.Config { return &sign.Config{Key: file} }
	public := func(file string) *sign.Config { return &sign.Config{PublicKeys: []sign.PublicKey{{File: file}}} }
	for _, c := range []struct {
		configured settings.Sign
		flag       string
		toSign     bool
		want       *sign.Config
	}{
		{settings.Sign{}, "a.key", true, private("a.key")},
		{settings.Sign{}, "a.key", false, private("a.key")},
		{settings.Sign{}, "a.pub", true, public("a.pub")},
		{settings.Sign{}, "a.pub", false, public("a.pub")},
		{settings.Sign{}, "a.pem", true, private("a.pem")},
		{settings.Sign{}, "a.pem", false, public("a.pem")},
		{settings.Sign{}, "env://KEY", false, public("env://KEY")},
		{settings.Sign{None: true}, "a.pem", true, private("a.pem")},
		{settings.Sign{None: true}, "", true, nil},
		{settings.Sign{Config: *private("/c/cosign.key")}, "", false, private("/c/cosign.key")},
		{settings.Sign{Config: *private("/c/cosign.key")}, "a.pub", false, public("a.pub")},
	} {
		ws := &workspace{settings: &settings.Settings{Sign: c.configured}}
		got, err := ws.signConfig(registryOptions{key: c.flag}, c.toSign)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v, --key %q, sign %t: %+v, %v", c.configured, c.flag, c.toSign, got, err)
		}
	}
}

func TestHelpFitsIn80Columns(t *testing.T) {
	for _, command := range append(newEnv(ui.Options{}).rootCommand().Commands(), nil) {
		line := []string{"--help"}
		if command != nil {
			line = []string{command.Name(), "--help"}
		}
		var stdout bytes.Buffer
		Main(t.Context(), line, ui.Options{Stdout: &stdout, Stderr: io.Discard})
		for text := range strings.Lines(stdout.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(text, "\n")); n > 80 && !strings.HasPrefix(text, "  libre ") { // an example
				t.Errorf("%s: %d columns: %s", line, n, text)
			}
		}
	}
}

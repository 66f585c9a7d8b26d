// Package publishtest tests publishing from end to end: the built program, real
// registries over HTTP, and the tools with which others pull and verify.
package publishtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/libresh/libre/internal/sign"
	nixcode "github.com/libresh/libre/nix"
)

// scratch holds all that the tests write, but what tests keep in TempDir.
var scratch string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "libre-publish-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// prepare builds the program and makes libre's cache, which knows what of this
// machine is in the Nix store already.
func prepare() error {
	bin := filepath.Dir(program())
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-trimpath", "-o", bin, "../../cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building libre: %w\n%s", err, out)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	notes := filepath.Join(user, "libre", "sources")
	for _, dir := range []string{notes, filepath.Join(cacheHome(), "libre"), tempDir()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return os.Symlink(notes, filepath.Join(cacheHome(), "libre", "sources"))
}

func program() string   { return filepath.Join(scratch, "bin", "libre") }
func cacheHome() string { return filepath.Join(scratch, "cache") }
func tempDir() string   { return filepath.Join(scratch, "tmp") }

// needed skips a test that misses something, and fails it where all tests must
// run.
func needed(t testing.TB, there bool, what string) {
	t.Helper()
	if there {
		return
	}
	if os.Getenv("LIBRE_TEST_ALL") == "1" {
		t.Fatalf("%s is not installed", what)
	}
	t.Skipf("%s is not installed", what)
}

func requireTools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := exec.LookPath(name)
		needed(t, err == nil, name)
	}
}

// definitions are two apps that build in seconds: two components of Nix each, of
// the first app also one of a Containerfile, based on another.
var definitions = map[string]string{
	"one/default.nix": `{ mkApp, pkgs, addToSource, ... }:
mkApp {
  name = "one"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.web = {
    package = { source, ... }: pkgs.runCommand "web" { inherit source; } "mkdir $out; cp -r $source $out/site";
    ports.http = 8080; health = "/healthz"; license = "MIT";
  };
  components.api.package = { source, ... }: pkgs.runCommand "api" { inherit source; } "cat $source/index.html > $out";
  components.pages = { containerfile = "Containerfile"; bases.site = "one/web"; };
  variants.lyon = app: addToSource app { "brand" = ./lyon; };
  needs.redis = { };
  migration.kind = "automatic";
  meta.license = "MIT";
}
`,
	"one/lyon":              "lyon\n",
	"one/src/index.html":    "<h1>one</h1>\n",
	"one/src/Containerfile": "FROM site\nCOPY index.html /pages/\n",
	"two/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "two"; version = "2"; packageVersion = 3;
  components.web.package = pkgs.writeText "web" "the web of two\n";
  components.job.package = pkgs.writeText "job" "the job of two\n";
}
`,
}

const password = "correct horse battery"

// catalogue is a directory with a flake and a key pair.
type catalogue struct {
	dir string
	env []string // for libre in it
}

func (c catalogue) key() string { return filepath.Join(c.dir, "cosign.key") }

// file writes a file of the catalogue, which git then knows.
func (c catalogue) file(t testing.TB, name, content string) {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	tool(t, "git", "-C", c.dir, "add", name)
}

// edit replaces a text in a file of the catalogue.
func (c catalogue) edit(t testing.TB, name, old, new string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	c.file(t, name, strings.Replace(string(text), old, new, 1))
}

// newCatalogue writes a catalogue with files below apps/, makes its keys, and
// builds nothing yet.
func newCatalogue(t testing.TB, files map[string]string) catalogue {
	t.Helper()
	requireTools(t, "nix", "git", "go", "busybox", "buildah")
	dir, err := os.MkdirTemp(scratch, "dir-")
	if err != nil {
		t.Fatal(err)
	}
	c := catalogue{dir: dir}
	tool(t, "git", "-C", c.dir, "init", "--quiet")
	for _, name := range []string{"flake.nix", "flake.lock", ".gitignore"} {
		content, err := fs.ReadFile(nixcode.Template(), name)
		if err != nil {
			t.Fatal(err)
		}
		c.file(t, name, strings.Replace(string(content), `"x86_64-linux" "aarch64-linux"`, `"x86_64-linux"`, 1))
	}
	for name, content := range files {
		c.file(t, filepath.Join("apps", name), content)
	}
	if err := keys(c); err != nil {
		t.Fatal(err)
	}
	return c
}

// keys gives every catalogue the same key pair, since to encrypt one takes a second.
func keys(c catalogue) error {
	pair, err := makeKeys()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(c.key(), pair[0], 0o600), os.WriteFile(filepath.Join(c.dir, "cosign.pub"), pair[1], 0o644))
}

var makeKeys = sync.OnceValues(func() (pair [2][]byte, err error) {
	base := filepath.Join(scratch, "cosign")
	c := catalogue{dir: scratch}
	if got := c.run("keygen", "--output", base); got.code != 0 {
		return pair, fmt.Errorf("libre keygen: %s", got.stderr)
	}
	for i, name := range []string{".key", ".pub"} {
		if pair[i], err = os.ReadFile(base + name); err != nil {
			return pair, err
		}
	}
	return pair, nil
})

// policy accepts what the catalogues' key signed, in one format.
func policy(t testing.TB, c catalogue, format sign.Format) *sign.Policy {
	t.Helper()
	p, err := sign.Config{Format: format, PublicKey: filepath.Join(c.dir, "cosign.pub")}.Policy(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shared is a catalogue of definitions that is built, and that no test changes.
func shared(t testing.TB) catalogue {
	t.Helper()
	requireTools(t, "nix", "git", "go", "busybox", "buildah")
	buildShared.Do(func() {
		c := newCatalogue(t, maps.Clone(definitions))
		c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
		if got := c.run("build", "--all"); got.code != 0 {
			t.Fatalf("libre build --all: %d\n%s", got.code, got.stderr)
		}
		sharedCatalogue = c
	})
	if sharedCatalogue.dir == "" {
		t.Fatal("the catalogue could not be built")
	}
	return sharedCatalogue
}

// copy is a catalogue of the test's own with all that is built.
func (c catalogue) copy(t testing.TB) catalogue {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "dir-")
	if err != nil {
		t.Fatal(err)
	}
	tool(t, "cp", "-a", c.dir+"/.", dir)
	return catalogue{dir: dir, env: slices.Clone(c.env)}
}

// formatted is the shared catalogue, or a copy with another format of signatures.
func formatted(t testing.TB, format sign.Format) catalogue {
	t.Helper()
	c := shared(t)
	if format != sign.Bundle {
		c = c.copy(t)
		c.file(t, "libre.yaml", fmt.Sprintf("sign:\n  key: cosign.key\n  format: %s\n", format))
	}
	return c
}

var (
	buildShared     sync.Once
	sharedCatalogue catalogue
)

// command is libre with its arguments in the catalogue, in a process group of
// its own.
func (c catalogue) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program(), args...)
	cmd.Dir = c.dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "LIBRE_") && !strings.HasPrefix(kv, "COSIGN_") && !strings.HasPrefix(kv, "DOCKER_") && !strings.HasPrefix(kv, "REGISTRY_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+cacheHome(), "TMPDIR="+tempDir(), "LIBRE_PACKAGE_SET=host", "COSIGN_PASSWORD="+password,
		// Nothing of these catalogues is in a binary cache.
		"NIX_CONFIG="+os.Getenv("NIX_CONFIG")+"\nsubstitute = false")
	cmd.Env = append(cmd.Env, c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// outcome is how a run of libre ended.
type outcome struct {
	args           []string
	code           int
	stdout, stderr string
}

func (c catalogue) run(args ...string) outcome { return finish(c.command(args...)) }

func finish(cmd *exec.Cmd) outcome {
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	o := outcome{cmd.Args[1:], cmd.ProcessState.ExitCode(), out.String(), log.String()}
	if err != nil && o.code == -1 {
		o.stderr += err.Error()
	}
	return o
}

// want fails the test if a run ended with another code.
func (o outcome) want(t testing.TB, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("libre %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(o.args, " "), o.code, code, o.stdout, o.stderr)
	}
	return o
}

// rows are the lines of stdout, by their first cell without the registry and
// what follows @: name:tag → the line's cells.
func (o outcome) rows() map[string][]string {
	rows := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(o.stdout), "\n") {
		cells := strings.Split(line, "\t")
		reference, _, _ := strings.Cut(cells[0], "@")
		rows[reference[strings.LastIndex(reference, "/")+1:]] = cells
	}
	delete(rows, "")
	return rows
}

// tool runs another program, which must succeed, and gives its stdout.
func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	got := finish(cmd)
	if got.code != 0 {
		t.Fatalf("%s %s: %d\n%s", name, strings.Join(args, " "), got.code, got.stderr)
	}
	return got.stdout
}

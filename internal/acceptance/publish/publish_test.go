// Package publish tests publishing from end to end: the built program, real registries over
// HTTP, and the tools with which others pull and verify.
package publish

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

var libre testkit.Libre

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == inspect.Program {
		if err := relay(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if file := os.Getenv(benchPush); file != "" {
		if err := doPush(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// libre and these tests mostly wait for registries.
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = parallel.Value.Set("4")
	}
	os.Exit(libre.Run(m))
}

// definitions are two apps that build in seconds. Each has two Nix components. The first
// app also has a Containerfile component, based on another one.
var definitions = map[string]string{
	"one/default.nix": `{ mkApp, pkgs, addToSource, ... }:
mkApp {
  name = "one"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.web = {
    package = { source, ... }: pkgs.runCommand "web" { inherit source; } "mkdir $out; cp -r $source $out/site";
    ports = { http = 8080; quic = { port = 443; protocol = "udp"; }; };
    health = { path = "/healthz"; port = "http"; interval = 30; }; license = "MIT";
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
	"one/src/Containerfile": "FROM site\nCOPY index.html /pages/\nUSER 3:4\nEXPOSE 8000 53/udp\nVOLUME /data\nHEALTHCHECK --interval=30s CMD [\"/check\"]\nSTOPSIGNAL SIGQUIT\n",
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
	dir   string
	env   []string // environment of libre
	alone bool     // libre starts all child processes itself
}

func (c catalogue) key() string { return filepath.Join(c.dir, "cosign.key") }

// file writes a file of the catalogue and adds it to git.
func (c catalogue) file(t testing.TB, name, content string) {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	libre.Tool(t, "git", "-C", c.dir, "add", name)
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

// newCatalogue writes a catalogue with files below apps/ and makes its keys. It builds
// nothing.
func newCatalogue(t testing.TB, files map[string]string, systems ...string) catalogue {
	t.Helper()
	testkit.Require(t, "buildah")
	c := catalogue{dir: libre.Catalogue(t, files, systems...)}
	if err := keys(c); err != nil {
		t.Fatal(err)
	}
	return c
}

// keys gives every catalogue the same key pair, because encrypting one takes a second.
func keys(c catalogue) error {
	pair, err := makeKeys()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(c.key(), pair[0], 0o600), os.WriteFile(filepath.Join(c.dir, "cosign.pub"), pair[1], 0o644))
}

var makeKeys = sync.OnceValues(func() (pair [2][]byte, err error) {
	base := filepath.Join(libre.Dir, "cosign")
	c := catalogue{dir: libre.Dir}
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

// policy returns the policy that accepts signatures of the catalogues' key in one format.
func policy(t testing.TB, c catalogue, format sign.Format) *sign.Policy {
	t.Helper()
	p, err := sign.Config{Format: format, PublicKeys: []sign.PublicKey{{File: filepath.Join(c.dir, "cosign.pub")}}}.Policy(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shared returns a built catalogue of definitions. No test changes it.
func shared(t testing.TB) catalogue {
	t.Helper()
	buildShared.Do(func() {
		c := newCatalogue(t, definitions, "x86_64-linux")
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

// copy returns the test's own copy of the catalogue, with everything that is built.
func (c catalogue) copy(t testing.TB) catalogue {
	t.Helper()
	dir := libre.TempDir(t)
	libre.Tool(t, "cp", "-a", c.dir+"/.", dir)
	return catalogue{dir, slices.Clone(c.env), c.alone}
}

// formatted returns the shared catalogue, or a copy with another format of signatures.
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

// command returns the command libre with arguments, in the catalogue.
func (c catalogue) command(args ...string) *exec.Cmd {
	cmd := libre.Command(c.dir, args...)
	if !c.alone {
		cmd.Path, cmd.Err = startRecogniser()
	}
	cmd.Env = append(append(cmd.Env, "COSIGN_PASSWORD="+password), c.env...)
	return cmd
}

// outcome is the result of a run of libre.
type outcome struct {
	args           []string
	code           int
	stdout, stderr string
}

func (c catalogue) run(args ...string) outcome { return finish(c.command(args...)) }

func finish(cmd *exec.Cmd) outcome {
	stdout, stderr, err := testkit.Output(cmd)
	o := outcome{cmd.Args[1:], cmd.ProcessState.ExitCode(), stdout, stderr}
	if err != nil && o.code == -1 {
		o.stderr += err.Error()
	}
	return o
}

// want fails the test if the exit code differs.
func (o outcome) want(t testing.TB, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("libre %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(o.args, " "), o.code, code, o.stdout, o.stderr)
	}
	return o
}

// rows returns the cells of each line of stdout, by the first cell without the registry and
// the part after @: name:tag.
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

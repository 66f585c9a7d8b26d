// Package disk runs commands on a disk that fails: the built program, real Nix and git, and a
// real registry. A file system makes one operation of libre fail at a time.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

var libre testkit.Libre

func TestMain(m *testing.M) { os.Exit(libre.Run(m)) }

// app is an app of a forge, with one component.
const app = `{ mkApp, pkgs, ... }:
mkApp rec {
  name = "one"; version = "1.0.0"; packageVersion = 1;
  source = {
    github = "suite/one";
    tag = "v${version}";
    hash = "";
    archive = "%s/suite/one/archive/refs/tags/v${version}.tar.gz";
  };
  components.web.package = { source, ... }: pkgs.runCommand "web" { inherit source; } "cp $source/page $out";
}
`

// machine is a folder with everything that libre writes on a machine: coop is the catalogue,
// cache the cache, and one the source of the app, for edits.
type machine struct {
	dir         string
	registry    string
	environment []string
}

// command returns libre with arguments. It does not start in the catalogue's folder: see
// testkit.MountDisk. HERE in arguments stands for the machine's folder, and FRESH for an unused
// part of the registry.
func (m machine) command(args, fresh string) *exec.Cmd {
	args = strings.NewReplacer("HERE", m.dir, "FRESH", m.registry+"/"+strings.ToLower(fresh)).Replace(args)
	cmd := libre.Command("/", append([]string{"-C", m.dir + "/coop"}, strings.Fields(args)...)...)
	cmd.Env = append(append(cmd.Env, m.environment...), "XDG_CACHE_HOME="+m.dir+"/cache", "XDG_CONFIG_HOME="+m.dir+"/config",
		"GIT_CONFIG_GLOBAL=/dev/null", "COSIGN_PASSWORD=correct horse battery")
	return cmd
}

// do runs a command that must succeed.
func (m machine) do(t *testing.T, args, fresh string) {
	t.Helper()
	if stdout, stderr, err := testkit.Output(m.command(args, fresh)); err != nil {
		t.Fatalf("libre %s: %v\n%s%s", args, err, stdout, stderr)
	}
}

// read returns the content of a file, or of all files in a folder, or "" if it does not exist.
func (m machine) read(t *testing.T, name string) (all string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(m.dir, name), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all += path + "\n" + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// mount copies a folder into the machine until the test ends.
func (m machine) mount(t *testing.T, folder string) (*testkit.Disk, string) {
	t.Helper()
	copied := libre.TempDir(t)
	libre.Tool(t, "cp", "-a", folder+"/.", copied)
	return testkit.MountDisk(t, copied, m.dir, filepath.Base(libre.Program())), copied
}

// newMachine makes a machine with a catalogue in git, and a newer version of its app upstream.
func newMachine(t *testing.T) machine {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.Require(t, "nix", "git", "patch")
	forge := forgetest.GitHub(t)
	repo := forge.AddRepo("suite/one")
	repo.Tag("v1.0.0", repo.Commit(map[string]string{"page": "1\n"}))
	m := machine{dir: libre.TempDir(t), registry: testkit.DockerRegistry(t, libre.TempDir(t))}
	for name, value := range forge.Environment() {
		m.environment = append(m.environment, name+"="+value)
	}
	coop := m.dir + "/coop"
	libre.Tool(t, "cp", "-a", libre.Catalogue(t, map[string]string{"one/default.nix": fmt.Sprintf(app, forge.URL)}, "x86_64-linux"), coop)
	m.do(t, "keygen --output HERE/coop/cosign", "")
	err := os.WriteFile(coop+"/libre.yaml", []byte("registry: "+m.registry+"/coop\nsign:\n  key: cosign.key\n"), 0o644)
	if err == nil {
		err = os.MkdirAll(m.dir+"/cache/libre", 0o755)
	}
	if err == nil { // the results of looking for sources in the Nix store take long to compute
		err = os.Symlink(filepath.Join(libre.CacheHome(), "libre", "sources"), m.dir+"/cache/libre/sources")
	}
	if err != nil {
		t.Fatal(err)
	}
	m.do(t, "hash one", "")
	libre.Tool(t, "git", "-C", coop, "add", "--all")
	libre.Tool(t, "git", "-C", coop, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--message", "One")
	repo.Tag("v1.1.0", repo.Commit(map[string]string{"page": "2\n"}))
	return m
}

// errnos are the errors that operations fail with, by kind.
var errnos = map[string]syscall.Errno{
	"read": syscall.EIO, "list": syscall.EIO, "close": syscall.EIO, "rename": syscall.EIO, "sync": syscall.EIO,
	"write": syscall.ENOSPC, "create": syscall.EROFS, "mkdir": syscall.EROFS, "link": syscall.EROFS, "remove": syscall.EROFS,
}

// command is a command that runs on a failing disk.
type command struct {
	name, args string
	files      string // a file or a folder that must be as before, or complete
	prepare    func(t *testing.T, m machine)
}

var commands = []command{
	{"build", "build --all", "coop/dist/index.json", func(t *testing.T, m machine) {
		m.do(t, "build --all", "") // so that Nix has nothing to do
		libre.Tool(t, "rm", "-r", m.dir+"/coop/dist", m.dir+"/cache/libre/layers")
	}},
	{"push", "push one/*/default --to FRESH", "coop/dist/index.json", func(t *testing.T, m machine) { m.do(t, "build --all", "") }},
	{"bump", "bump one", "coop/apps/one", func(*testing.T, machine) {}},
	{"gc", "gc --yes", "coop/dist/index.json", func(t *testing.T, m machine) {
		m.do(t, "build --all", "")
		libre.Tool(t, "sh", "-c", "cd "+m.dir+"/cache/libre && touch -d 2020-01-01 layers/* evaluations/* && echo x > ../../coop/dist/blobs/sha256/"+strings.Repeat("0", 64))
	}},
	{"edit", "edit one HERE/one", "one/page", func(*testing.T, machine) {}},
	{"save", "edit --save HERE/one", "coop/apps/one", func(t *testing.T, m machine) {
		m.do(t, "edit one HERE/one", "")
		libre.Tool(t, "sh", "-c", "echo 3 > "+m.dir+"/one/page")
	}},
	{"withdraw", "withdraw one 1.0.0-1 --reason bad", "coop/withdrawn.yaml", func(t *testing.T, m machine) {
		// Elsewhere, because edit --save raises the package version of what is published.
		libre.Tool(t, "sed", "-i", "s,/coop$,/withdrawn,", m.dir+"/coop/libre.yaml")
		m.do(t, "push one/*/default", "")
	}},
}

// Each kind of operation fails once in each folder. Then one line names the file and the
// reason, or the failure has no effect. No file is incomplete, and the same command succeeds
// when the disk works again.
func TestNextRunCompletesWhatABadDiskFailed(t *testing.T) {
	base := newMachine(t)
	for _, c := range commands {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := machine{libre.TempDir(t), base.registry, base.environment}
			var folder, before, want string
			var seen []testkit.Operation
			t.Run("undisturbed", func(t *testing.T) {
				_, folder = m.mount(t, base.dir)
				c.prepare(t, m)
				before = m.read(t, c.files)
			})
			t.Run("seen", func(t *testing.T) {
				disk, _ := m.mount(t, folder)
				m.do(t, c.args, c.name)
				seen, want = disk.Seen(), m.read(t, c.files)
			})
			tried := map[string]bool{}
			for n, operation := range seen {
				errno, alike := errnos[operation.Kind], operation.Kind+" "+filepath.Dir(operation.Path)
				if errno == 0 || tried[alike] {
					continue
				}
				tried[alike] = true
				t.Run(operation.String(), func(t *testing.T) {
					disk, _ := m.mount(t, folder)
					disk.Fail(operation, errno)
					survives(t, m, c, errno, before, want, disk.Mend, fmt.Sprint(c.name, n))
				})
			}
		})
	}
}

// reported matches the lines of an error, and of a block about a failure.
var reported = regexp.MustCompile(`(?m)^(error: |  [a-z]+: ).*$`)

func survives(t *testing.T, m machine, c command, errno syscall.Errno, before, want string, mend func(), fresh string) {
	cmd := m.command(c.args, fresh)
	_, stderr, _ := testkit.Output(cmd)
	var said []string
	for _, line := range reported.FindAllString(stderr, -1) {
		if strings.Contains(line, errno.Error()) {
			said = append(said, line)
		}
	}
	switch code := cmd.ProcessState.ExitCode(); {
	case strings.Contains(stderr, "goroutine "), code < 0:
		t.Errorf("it crashes:\n%s", stderr)
	case code == 0 && len(reported.FindAllString(stderr, -1)) > 0:
		t.Errorf("success with an error:\n%s", stderr)
	case code != 0 && (len(said) == 0 || len(said) > 1 && c.name != "gc" || !strings.Contains(said[0], m.dir)): // gc goes on
		t.Errorf("exit code %d, and not one line with the file:\n%s", code, stderr)
	case code != 0:
		if got := m.read(t, c.files); !strings.HasSuffix(c.files, ".json") && got != before && got != want { // a layout may have some images
			t.Errorf("half written:\n%s", got)
		}
		mend()
		m.do(t, c.args, fresh)
	}
	mend()
	if got := m.read(t, c.files); got != want {
		t.Errorf("in the end there is\n%s\nand not\n%s", got, want)
	}
	if left, err := filepath.Glob(filepath.Join(m.dir, "*", "*", ".tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

package build

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/libresh/libre/internal/testkit"
)

// A derivation with a known hash may use the network, so it can wait for the test's gate.
func TestInterruptedNixBuildIsResumed(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	sum := sha256.Sum256([]byte(g.answer))
	waits := func(p *testkit.Process) error {
		if g.visits.Load() == 0 {
			return fmt.Errorf("the build does not come to the gate:\n%s", p.Log)
		}
		return seen("wget -q", g.token)
	}
	testInterruptAndGoOn(t, g.token, waits, func() { g.open.Store(true) }, "/app", g.answer, map[string]string{
		"slow/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "slow"; version = "1"; packageVersion = 1;
  components.web.package = pkgs.runCommand "slow" {
    outputHash = "sha256-` + base64.StdEncoding.EncodeToString(sum[:]) + `";
    outputHashMode = "flat";
  } "wget -q -O $out ` + g.url + `";
}
`})
}

// A RUN step that ignores SIGTERM. It cannot reach the gate, so it takes a long time
// instead.
func TestInterruptedContainerfileIsResumed(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "buildah")
	token := rand.Text()
	waits := func(*testkit.Process) error { return seen("sleep 12", token) }
	testInterruptAndGoOn(t, token, waits, func() {}, "/answer", token, map[string]string{
		"slow/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "slow"; version = "1"; packageVersion = 1;
  source.path = ./src;
  components.base.package = pkgs.writeText "base" "";
  components.web = { containerfile = "Containerfile"; bases.toolbox = "slow/base/debug"; };
}
`,
		"slow/src/Containerfile": `FROM toolbox
USER 0
RUN ["/opt/libre/bin/sh", "-c", "trap '' TERM INT HUP; sleep 12; printf %s ` + token + ` > /answer"]
`})
}

// The build is interrupted while layers are written.
func TestInterruptedLayersAreResumed(t *testing.T) {
	t.Parallel()
	c := demo(t)
	b := interruptible{catalogue: c, dist: filepath.Join(libre.TempDir(t), "dist"), temp: libre.TempDir(t), token: rand.Text()}
	b.interruptWhen(t, func(p *testkit.Process) error {
		if strings.Contains(p.Log.String(), ": writing ") {
			return nil
		}
		return fmt.Errorf("no layers are written:\n%s", p.Log)
	}, "--all")
	b.complete(t, "--all")
	want := entries(t, c.dist())
	for reference, got := range entries(t, b.dist) {
		if got.Digest != want[reference].Digest {
			t.Errorf("%s is %s after an interruption, %s without", reference, got.Digest, want[reference].Digest)
		}
		delete(want, reference)
	}
	for reference := range want {
		t.Errorf("%s is missing", reference)
	}
}

// seen returns nil if a process with the token in its command line does something.
// Processes in the sandbox or container are seen, too.
func seen(what, token string) error {
	running := processesWith(token)
	if !slices.ContainsFunc(running, func(line string) bool { return strings.Contains(line, what) }) {
		return fmt.Errorf("no %s among the processes of the build: %q", what, running)
	}
	return nil
}

// testInterruptAndGoOn interrupts a build of slow/web/default while it waits, and runs it
// again after letGo. A file of the image must then have the content.
func testInterruptAndGoOn(t *testing.T, token string, waits func(*testkit.Process) error, letGo func(), file, content string, files map[string]string) {
	const reference = "slow-web-default:1-1"
	c := newCatalogue(t, files)
	b := interruptible{catalogue: c, dist: c.dist(), temp: libre.TempDir(t), token: token}
	b.interruptWhen(t, waits, "slow/web/default")
	if _, err := os.Stat(filepath.Join(c.dist(), "index.json")); err == nil {
		if _, found := entries(t, c.dist())[reference]; found {
			t.Errorf("the layout names %s, which was not finished", reference)
		}
	}
	letGo()
	b.complete(t, "slow/web/default")
	if got := readTree(t, openImage(t, c.dist(), reference, "")).text(t, file); got != content {
		t.Errorf("%s has %q, want %q", file, got, content)
	}
}

// An interruptible is a build that is interrupted with Ctrl-C and run again.
type interruptible struct {
	catalogue
	dist  string
	temp  string // folder for temporary files
	token string // in the environment or the command line of each process
}

func (b interruptible) start(t *testing.T, selection string) *testkit.Process {
	t.Helper()
	cmd := b.command("build", selection, "--output", b.dist)
	cmd.Env = append(cmd.Env, "TMPDIR="+b.temp, "E2E_TOKEN="+b.token)
	p, err := testkit.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Cmd.Process.Kill(); <-p.Exited })
	return p
}

// interruptWhen starts the build and presses Ctrl-C when ready returns nil. No process may
// remain, and no incomplete file.
func (b interruptible) interruptWhen(t *testing.T, ready func(*testkit.Process) error, selection string) {
	t.Helper()
	p := b.start(t, selection)
	err := testkit.Eventually(func() error {
		err := ready(p)
		if err != nil {
			err = errors.Join(p.Running(), err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// A terminal signals the whole foreground process group.
	if err := syscall.Kill(-p.Cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Exited:
	case <-time.After(testkit.Patience):
		t.Fatalf("libre does not end:\n%s", p.Log)
	}
	if code := p.Cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, p.Log)
	}
	err = testkit.Eventually(func() error {
		if left := processesWith(b.token); len(left) > 0 {
			return fmt.Errorf("left running: %q", left)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	b.checkFolders(t)
	b.checkLayout(t)
}

// complete runs the build to its end.
func (b interruptible) complete(t *testing.T, selection string) {
	t.Helper()
	p := b.start(t, selection)
	select {
	case <-p.Exited:
	case <-time.After(2 * testkit.Patience):
		t.Fatalf("the next run does not end:\n%s", p.Log)
	}
	if p.Err != nil {
		t.Fatalf("the next run: %v\n%s", p.Err, p.Log)
	}
	b.checkFolders(t)
	b.checkLayout(t)
}

// checkFolders checks that nothing is mounted and no temporary files remain.
func (b interruptible) checkFolders(t *testing.T) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, b.dist) || strings.Contains(line, b.temp) {
			t.Errorf("left mounted: %s", line)
		}
	}
	left, err := os.ReadDir(b.temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("left in the folder for temporary files: %s", entry.Name())
	}
}

// checkLayout checks that there is no layout, or one in which every image is complete,
// every blob has the content of its name, and nothing else exists.
func (b interruptible) checkLayout(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(b.dist, "index.json")); errors.Is(err, fs.ErrNotExist) {
		return
	}
	index, err := layout.ImageIndexFromPath(b.dist)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("the layout: %v", err)
	}
	err = filepath.WalkDir(b.dist, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(b.dist, path)
		if err != nil || relative == "index.json" || relative == "oci-layout" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(content); relative != filepath.Join("blobs", "sha256", hex.EncodeToString(sum[:])) {
			t.Errorf("left in the layout: %s, which is not the blob of its name", relative)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A gate is an HTTP server at which a build waits until the gate is opened.
type gate struct {
	token  string // in the URL, and so in the arguments of the build's processes
	url    string
	answer string
	visits atomic.Int32
	open   atomic.Bool
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{token: rand.Text()}
	g.answer = "passed " + g.token + "\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.visits.Add(1)
		if !g.open.Load() {
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, g.answer)
	}))
	t.Cleanup(server.Close)
	g.url = server.URL + "/" + g.token
	return g
}

package build

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

// runs are the engines that libre run is tested with, and the requirements of each.
var runs = map[string]func(t *testing.T){
	"runc": func(*testing.T) {},
	"podman": func(t *testing.T) { // with a storage of its own
		dir := t.TempDir()
		file := filepath.Join(dir, "storage.conf")
		writeFile(t, file, fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", dir+"/root", dir+"/run"))
		t.Setenv("CONTAINERS_STORAGE_CONF", file)
	},
	"docker": func(t *testing.T) { testkit.Docker(t, true) },
}

// appRun is a running `libre run` that answers.
type appRun struct {
	*testkit.Process
	url string
}

// stateHome returns the folder in which libre run keeps data. In runs by root, servers access
// it as other users.
func stateHome(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "run-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// startApp starts libre run, and waits until it prints the address.
func startApp(t *testing.T, c catalogue, state string, args ...string) *appRun {
	t.Helper()
	command := c.command(append([]string{"run", "--port", "0"}, args...)...)
	command.Env = append(command.Env, "XDG_STATE_HOME="+state)
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONFIG"} {
		if value := os.Getenv(name); value != "" {
			command.Env = append(command.Env, name+"="+value)
		}
	}
	address, stdout := io.Pipe()
	command.Stdout = stdout
	p, err := testkit.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Cmd.Process.Signal(os.Interrupt)
		<-p.Exited
	})
	go func() { <-p.Exited; stdout.Close() }()
	line, err := bufio.NewReader(address).ReadString('\n')
	if err != nil {
		t.Fatalf("libre run %s: %v\n%s", strings.Join(args, " "), p.Err, p.Log)
	}
	go func() { _, _ = io.Copy(io.Discard, address) }()
	return &appRun{p, strings.TrimSpace(line)}
}

// end interrupts a run, as Ctrl-C does. It must end without an error.
func (r *appRun) end(t *testing.T) {
	t.Helper()
	_ = r.Cmd.Process.Signal(os.Interrupt)
	select {
	case <-r.Exited:
	case <-time.After(testkit.Patience):
		t.Fatalf("it does not end:\n%s", r.Log)
	}
	if r.Err != nil {
		t.Errorf("it ended with %v:\n%s", r.Err, r.Log)
	}
}

// nothingLeft checks that no process and no mount of a run is left.
func nothingLeft(t *testing.T, state string) {
	t.Helper()
	err := testkit.Eventually(func() error {
		if left := processesWith(state); len(left) > 0 {
			return fmt.Errorf("left: %s", strings.Join(left, "; "))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || bytes.Contains(mounts, []byte(state)) {
		t.Errorf("a mount is left, %v:\n%s", err, mounts)
	}
	group := fmt.Sprintf("libre-run/%x", sha256.Sum256([]byte(filepath.Join(state, "libre/run/guestbook/run"))))[:len("libre-run/")+8]
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		pattern += group + "-*"
		if left, _ := filepath.Glob(pattern); len(left) > 0 {
			t.Errorf("control groups are left: %v", left)
		}
	}
}

func (r *appRun) sign(t *testing.T, name string) {
	t.Helper()
	response, err := http.Post(r.url+"/api/entries", "application/json", strings.NewReader(`{"name":"`+name+`","message":"Bonjour"}`))
	if status, body, err := read(response, err); err != nil || status != http.StatusCreated {
		t.Errorf("signing: %d %s, %v", status, body, err)
	}
}

// libre run starts guestbook with a real PostgreSQL. Its page answers on one port, and keeps
// entries if it should, even if libre is killed. Nothing else is left.
func TestRunGuestbook(t *testing.T) {
	c := demo(t)
	testkit.RequireRoot(t)
	for _, by := range slices.Sorted(maps.Keys(runs)) {
		t.Run(by, func(t *testing.T) {
			testkit.Require(t, by)
			runs[by](t)
			state := stateHome(t)
			first := startApp(t, c, state, "guestbook", "--engine", by, "--keep")
			if page := mustGet(t, first.url+"/"); !strings.Contains(page, "<h1>"+defaultBrand+"</h1>") {
				t.Errorf("the page:\n%s", page)
			}
			if brand := mustGet(t, first.url+"/api/brand"); !strings.Contains(brand, defaultBrand) {
				t.Errorf("/api/brand: %s", brand)
			}
			first.sign(t, "Louise Labé")
			checkPrivate(t, state)
			first.end(t)
			nothingLeft(t, state)

			killed := startApp(t, c, state, "guestbook", "--engine", by, "--keep")
			if entries := mustGet(t, killed.url+"/api/entries"); !strings.Contains(entries, "Louise Labé") {
				t.Errorf("after a restart: %s", entries)
			}
			killed.sign(t, "Maurice Scève")
			_ = killed.Cmd.Process.Signal(syscall.SIGKILL)
			<-killed.Exited

			last := startApp(t, c, state, "guestbook", "--engine", by)
			if entries := mustGet(t, last.url+"/api/entries"); !strings.Contains(entries, "Louise Labé") || !strings.Contains(entries, "Maurice Scève") {
				t.Errorf("after libre was killed: %s", entries)
			}
			last.end(t)
			nothingLeft(t, state)
			if left, err := os.ReadDir(filepath.Join(state, "libre", "run")); err != nil || len(left) > 0 {
				t.Errorf("data is left without --keep: %v, %v", left, err)
			}
		})
	}
}

// checkPrivate checks that other users cannot read secrets, and that no argument contains one.
func checkPrivate(t *testing.T, state string) {
	t.Helper()
	file := filepath.Join(state, "libre/run/guestbook/secrets.env")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	content, err := os.ReadFile(file)
	_, password, found := strings.Cut(strings.TrimSpace(string(content)), "=")
	if err != nil || !found {
		t.Fatalf("%s has %q, %v", file, content, err)
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, command := range commands {
		if text, _ := os.ReadFile(command); bytes.Contains(text, []byte(password)) {
			t.Errorf("a secret is in an argument of %s", bytes.ReplaceAll(text, []byte{0}, []byte(" ")))
		}
	}
	err = filepath.WalkDir(filepath.Join(state, "libre/run"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if info, _ := entry.Info(); bytes.Contains(text, []byte(password)) && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has a secret, and the mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A second run of an app, a used port, and a missing engine are refused in one line. The first
// run continues.
func TestRunRefuses(t *testing.T) {
	c := demo(t)
	testkit.RequireRoot(t)
	testkit.Require(t, "runc")
	state := stateHome(t)
	app := startApp(t, c, state, "guestbook", "--engine", "runc")
	_, port, _ := strings.Cut(strings.TrimPrefix(app.url, "http://"), ":")
	for want, args := range map[string][]string{
		"guestbook runs already; end it by Ctrl-C":                 {"guestbook", "--engine", "runc", "--port", "0"},
		"port " + port + " of 127.0.0.1: address already in use; ": {"guestbook", "--engine", "runc", "--name", "other", "--port", port},
		`engine "crio", expected podman, docker, runc`:             {"guestbook", "--engine", "crio"},
	} {
		command := c.command(append([]string{"run"}, args...)...)
		command.Env = append(command.Env, "XDG_STATE_HOME="+state)
		if stdout, stderr, err := testkit.Output(command); err == nil || stdout != "" || !strings.HasPrefix(stderr, "error: "+want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: %v\n%s%s", args, err, stdout, stderr)
		}
	}
	mustGet(t, app.url+"/")
	request, err := http.NewRequest(http.MethodGet, app.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "rebound.example"
	if response, err := http.DefaultClient.Do(request); err != nil || response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another name for the address: %v, %v", response, err)
	}
	app.end(t)
	nothingLeft(t, state)
}

// An app without routes runs, and libre reports that nothing answers at its address.
func TestRunSaysThatAnAppHasNoRoutes(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.Require(t, "runc")
	c := newCatalogue(t, map[string]string{"worker/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "worker";
  version = "1.0.0";
  packageVersion = 1;
  components.queue = {
    package = pkgs.busybox;
    entrypoint = [ "bin/busybox" ];
    command = [ "sleep" "1000" ];
    services.queue = { };
  };
}
`})
	c.libre(t, "build", "worker")
	state := stateHome(t)
	command := c.command("run", "worker", "--engine", "runc", "--port", "0", "--json")
	command.Env = append(command.Env, "XDG_STATE_HOME="+state)
	read, write := io.Pipe()
	command.Stdout = write
	p, err := testkit.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-p.Exited; write.Close() }()
	var result struct{ App, Variant, Version, Engine, URL string }
	err = json.NewDecoder(read).Decode(&result)
	app := &appRun{p, result.URL}
	if result.URL = ""; err != nil || result != (struct{ App, Variant, Version, Engine, URL string }{"worker", "default", "1.0.0", "runc", ""}) {
		t.Errorf("%+v, %v", result, err)
	}
	if response, err := http.Get(app.url + "/"); err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("%s: %v, %v", app.url, response, err)
	}
	app.end(t)
	if note := "worker has no routes, so every page at its address is 404\n"; strings.Count(app.Log.String(), note) != 1 {
		t.Errorf("no %q in:\n%s", note, app.Log)
	}
	nothingLeft(t, state)
}

// libre shell opens the debug variant of an image, without capabilities.
func TestShellOpensTheDebugVariant(t *testing.T) {
	c := demo(t)
	testkit.RequireRoot(t)
	testkit.Require(t, "runc")
	command := c.command("shell", "guestbook/backend", "--engine", "runc")
	command.Stdin = strings.NewReader("id -u; grep -e CapEff -e Seccomp: /proc/self/status; touch /x 2>/dev/null || echo read-only; exit 3\n")
	if stdout, stderr, err := testkit.Output(command); err != nil || !strings.HasPrefix(stdout, "1000\nCapEff:\t0000000000000000\nSeccomp:\t2\n") || !strings.HasSuffix(stdout, "read-only\n") {
		t.Errorf("%v\n%s%s", err, stdout, stderr)
	}
	for want, word := range map[string]string{
		"guestbook has no component nowhere, expected one of: backend, base, frontend": "guestbook/nowhere",
		"guestbook is not a component: give APP/COMPONENT":                             "guestbook",
	} {
		if stdout, stderr, err := testkit.Output(c.command("shell", word, "--engine", "runc")); err == nil || stdout != "" || !strings.HasPrefix(stderr, "error: "+want) {
			t.Errorf("%s: %v\n%s%s", word, err, stdout, stderr)
		}
	}
}

package cli

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/testkit"
)

// guardedRegistry is a registry that lets one user in, by basic authentication or
// by tokens.
func guardedRegistry(kind, user, password string) *httptest.Server {
	inner := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(true))
	const token = "a-token"
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, given, _ := r.BasicAuth()
		knows := name == user && given == password
		switch {
		case kind == "open", kind == "basic" && knows, kind == "token" && r.Header.Get("Authorization") == "Bearer "+token:
			inner.ServeHTTP(w, r)
			return
		case kind == "token" && r.URL.Path == "/token" && knows:
			fmt.Fprintf(w, `{"token":%q}`, token)
			return
		case kind == "token":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token"`, r.Host))
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		}
		// Some registries repeat what they got.
		http.Error(w, fmt.Sprintf(`{"errors":[{"code":"UNAUTHORIZED","message":"not %s:%s"}]}`, name, given), http.StatusUnauthorized)
	}))
}

// guarded starts a registry and puts its host into a variable: guarded KIND
// VARIABLE, with KIND open, basic or token. The user is publisher, the password
// hunter2.
func guarded(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: guarded KIND VARIABLE")
	}
	server := guardedRegistry(args[0], "publisher", "hunter2")
	ts.Defer(server.Close)
	ts.Setenv(args[1], strings.TrimPrefix(server.URL, "http://"))
}

// terminal is a pseudo-terminal with what was shown on it.
type terminal struct {
	controller *os.File
	ended      <-chan error // of the program on it
	mu         sync.Mutex
	shown      bytes.Buffer
}

// onTerminal starts libre on a terminal of its own.
func onTerminal(t *testing.T, env []string, args ...string) (*terminal, *exec.Cmd) {
	t.Helper()
	controller, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		testkit.Needed(t, false, "a pseudo-terminal")
	}
	t.Cleanup(func() { controller.Close() })
	if err := unix.IoctlSetPointerInt(int(controller.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(controller.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	user, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	cmd := exec.Command("libre", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = user, user, user
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ended, err := process.StartBound(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{controller: controller, ended: ended}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := controller.Read(buffer)
			term.mu.Lock()
			term.shown.Write(buffer[:n])
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return term, cmd
}

func (term *terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.shown.String()
}

// await waits until the terminal shows a text.
func (term *terminal) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(term.text(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the terminal does not show %q:\n%s", text, term.text())
		}
	}
}

func (term *terminal) enter(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(term.controller, text); err != nil {
		t.Fatal(err)
	}
}

// echoes says whether the terminal shows what is typed.
func (term *terminal) echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(term.controller.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// A password that is typed is not shown.
func TestLoginOnTerminal(t *testing.T) {
	server := guardedRegistry("token", "publisher", "hunter2")
	defer server.Close()
	host, home := strings.TrimPrefix(server.URL, "http://"), t.TempDir()
	env := []string{"HOME=" + home, "DOCKER_CONFIG=", "REGISTRY_AUTH_FILE=", "XDG_CONFIG_HOME=", "XDG_RUNTIME_DIR=" + home}
	term, _ := onTerminal(t, env, "login", host)
	term.await(t, "user name at "+host+": ")
	term.enter(t, "publisher\n")
	term.await(t, "password: ")
	for term.echoes(t) {
		time.Sleep(time.Millisecond)
	}
	term.enter(t, "hunter2\n")
	if err := <-term.ended; err != nil {
		t.Errorf("%v\n%s", err, term.text())
	}
	term.await(t, "logged in to "+host)
	if strings.Contains(term.text(), "hunter2") {
		t.Errorf("the terminal shows the password:\n%s", term.text())
	}
	if _, err := os.Stat(filepath.Join(home, ".docker", "config.json")); err != nil {
		t.Error(err)
	}

	// Ctrl-C at the prompt ends it, and the terminal is as it was.
	term, cmd := onTerminal(t, env, "login", host, "--username", "publisher")
	term.await(t, "password: ")
	for term.echoes(t) {
		time.Sleep(time.Millisecond)
	}
	term.enter(t, "\x03")
	if err := <-term.ended; cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("%v\n%s", err, term.text())
	}
	if !term.echoes(t) {
		t.Error("the terminal does not show any more what is typed")
	}
}

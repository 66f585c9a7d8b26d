package walks

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// A front is a server in front of a registry. It requires a login, and can disturb requests.
type front struct {
	inner http.Handler

	mu       sync.Mutex
	password string        // of the user ada
	left     int           // number of writes until one is held back; 0 holds back none
	held     chan struct{} // closed when a write is held back
}

// fronts are the fronts of the scripts.
var fronts sync.Map

// startFront: "front" sets FRONT to the address of a registry that requires a login: user ada,
// with the password "first".
func startFront(script *testscript.TestScript, registry string) {
	f := &front{password: "first", held: make(chan struct{})}
	f.inner = &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", registry
		r.Out.Host = r.In.Host // so that locations lead back here
		r.Out.Header.Del("Authorization")
	}}
	server := httptest.NewServer(f)
	script.Defer(func() { server.CloseClientConnections(); server.Close() })
	fronts.Store(script, f)
	script.Setenv("FRONT", strings.TrimPrefix(server.URL, "http://"))
}

// setFault: "fault password NEW" makes the old password expire. "fault hold N" holds back the
// N-th write.
func setFault(script *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		script.Fatalf("usage: fault password NEW, or fault hold N")
	}
	f := frontOf(script)
	f.mu.Lock()
	defer f.mu.Unlock()
	if args[0] == "password" {
		f.password = args[1]
		return
	}
	n, err := strconv.Atoi(args[1])
	script.Check(err)
	f.left = n
}

// waitHeld: "held" waits until a request is held back.
func waitHeld(script *testscript.TestScript, _ bool, _ []string) {
	select {
	case <-frontOf(script).held:
	case <-time.After(5 * time.Minute):
		script.Fatalf("no request was held back")
	}
}

func frontOf(script *testscript.TestScript) *front {
	f, ok := fronts.Load(script)
	if !ok {
		script.Fatalf("there is no front")
	}
	return f.(*front)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	f.mu.Lock()
	allowed := user == "ada" && password == f.password
	hold := false
	if allowed && f.left > 0 && r.Method != http.MethodGet && r.Method != http.MethodHead {
		f.left--
		hold = f.left == 0
	}
	f.mu.Unlock()
	switch {
	case !allowed:
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
	case hold:
		close(f.held)
		_, _ = io.Copy(io.Discard, r.Body) // the server only notices then that the client is gone
		<-r.Context().Done()
	default:
		f.inner.ServeHTTP(w, r)
	}
}

// disk: "disk FOLDER SIZE" mounts a file system of that size. A second call changes the size.
func disk(script *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		script.Fatalf("usage: disk FOLDER SIZE")
	}
	folder, flags := script.MkAbs(args[0]), uintptr(0)
	var at, above unix.Stat_t
	if unix.Stat(folder, &at) == nil && unix.Stat(filepath.Dir(folder), &above) == nil && at.Dev != above.Dev {
		flags = unix.MS_REMOUNT
	} else {
		script.Defer(func() { _ = unix.Unmount(folder, unix.MNT_DETACH) })
	}
	if err := unix.Mount("tmpfs", folder, "tmpfs", flags, "size="+args[1]); err != nil {
		script.Fatalf("mounting needs root: %v", err)
	}
}

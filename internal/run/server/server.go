// Package server starts servers for an app's needs from what this machine has: PostgreSQL,
// Redis or Valkey, and small ones that are part of libre. They listen on sockets in a folder of
// the user's own, and on no port. They end with libre, also when it is killed.
package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

// Options describe the server to start.
type Options struct {
	Need    describe.Need
	Host    string // by which the app reaches it
	Port    int
	Data    string                   // folder for what it keeps
	Sockets string                   // folder for its socket, which Server.Socket names
	App     string                   // its name, for people
	URL     string                   // of the app
	Site    string                   // where browsers reach Server.Site, without a slash at the end
	Secret  func(part string) string // of the need
	Hint    func(part string) string // where a secret is, for people
	Output  io.Writer
}

// Server is a server that runs.
type Server struct {
	What   string            // for people, such as "this machine's PostgreSQL 15"
	Socket string            // below Options.Sockets
	Parts  map[string]string // of the need
	Site   http.Handler      // for browsers; nil for none
	Close  func()            // ends it, and returns when it has ended
	Done   <-chan struct{}   // closed when it has ended; nil if it cannot by itself
}

// kinds start servers, by the kind of need.
var kinds = map[string]func(context.Context, Options) (*Server, error){
	"bucket":   startBucket,
	"mysql":    startMySQL,
	"oidc":     startProvider,
	"postgres": startPostgres,
	"redis":    startRedis,
	"smtp":     startMail,
}

// Start starts a server for a need. It returns when the server answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	start, known := kinds[o.Need.Kind]
	if !known {
		return nil, fmt.Errorf("this machine has no server of the kind %s", o.Need.Kind)
	}
	return start(ctx, o)
}

// Find names the program of this machine that serves a kind of need, postgres or redis, with
// its version: PostgreSQL 15. It is an error if Start could not start it.
func Find(ctx context.Context, kind string) (what string, err error) {
	switch kind {
	case "postgres":
		_, version, err := findPostgres(ctx)
		if err == nil {
			_, err = findOwner("postgres")
		}
		return "PostgreSQL " + version, err
	case "redis":
		_, what, err := findRedis(ctx)
		if err == nil {
			_, err = findOwner("valkey", "redis")
		}
		return what, err
	}
	return "", fmt.Errorf("this machine has no server of the kind %s", kind)
}

// Kinds are the kinds of needs that Start knows.
func Kinds() []string {
	var all []string
	for kind := range kinds {
		all = append(all, kind)
	}
	slices.Sort(all)
	return all
}

// program is a server that is a program of this machine.
type program struct {
	owner *owner
	done  chan struct{}
	cmd   *exec.Cmd
}

// owner is the user that programs run as, and their files belong to: the one of libre, or for
// root one without rights.
type owner struct {
	uid, gid int
	sys      *syscall.SysProcAttr
}

// findOwner finds the user for a program. Root needs one of its own for each kind of server.
func findOwner(names ...string) (*owner, error) {
	o := &owner{uid: os.Geteuid(), gid: os.Getegid(), sys: &syscall.SysProcAttr{Setpgid: true}}
	if o.uid != 0 {
		return o, nil
	}
	for _, name := range names {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		if o.uid, err = strconv.Atoi(found.Uid); err == nil {
			o.gid, err = strconv.Atoi(found.Gid)
		}
		o.sys.Credential = &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)}
		return o, err
	}
	return nil, fmt.Errorf("this machine has no user %s, and root does not run it", names[0])
}

// folder makes a folder that the owner alone can enter.
func (o *owner) folder(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := o.reaches(path); err != nil {
		return err
	}
	return os.Chown(path, o.uid, o.gid)
}

// reaches returns an error if a folder above keeps the owner out.
func (o *owner) reaches(path string) error {
	if o.sys.Credential == nil {
		return nil
	}
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			return &fault.Fault{Err: fmt.Errorf("%s keeps out the user that the server runs as", dir), Fix: "set XDG_STATE_HOME to a folder that all users may enter"}
		}
	}
	return nil
}

// command prepares a program. Its files are private to the owner.
func (o *owner) command(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	attributes := *o.sys
	cmd.Dir, cmd.SysProcAttr = "/", &attributes
	cmd.Env = []string{"PATH=" + filepath.Dir(path) + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.WaitDelay = time.Second
	return cmd
}

// start starts a program, which gets a signal when libre ends.
func (o *owner) start(cmd *exec.Cmd, signal syscall.Signal) (*program, error) {
	p := &program{owner: o, cmd: cmd, done: make(chan struct{})}
	ended, err := process.StartBound(cmd, signal)
	if err != nil {
		return nil, err
	}
	go func() {
		<-ended
		close(p.done)
	}()
	return p, nil
}

// do runs a program to its end. The error has its last line.
func (o *owner) do(ctx context.Context, cmd *exec.Cmd, input string) error {
	capture := &process.Capture{Most: 4 << 10, End: true}
	cmd.Stdin, cmd.Stderr = strings.NewReader(input), capture
	running, err := o.start(cmd, syscall.SIGKILL)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { running.stop(syscall.SIGTERM) })
	defer stop()
	<-running.done
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !cmd.ProcessState.Success() {
		lines := strings.Split(strings.TrimSpace(capture.String()), "\n")
		return fmt.Errorf("%s: %s", cmd.ProcessState, text.Short(lines[len(lines)-1], 200))
	}
	return nil
}

// stop sends a signal, and kills a process that does not end.
func (p *program) stop(signal os.Signal) {
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// until calls ready until it returns nil.
func (p *program) until(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return errors.New("it ended")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// without passes on the lines that are of interest.
type without struct {
	drop func(line []byte) bool // tells those that are not
	to   io.Writer
	part []byte
}

func (w *without) Write(p []byte) (int, error) {
	w.part = append(w.part, p...)
	for {
		end := bytes.IndexByte(w.part, '\n') + 1
		if end == 0 {
			return len(p), nil
		}
		if !w.drop(w.part[:end]) {
			if _, err := w.to.Write(w.part[:end]); err != nil {
				return 0, err
			}
		}
		w.part = w.part[end:]
	}
}

// mostSocket is the longest path of a socket: man 7 unix.
const mostSocket = 107

func checkSocket(path string) error {
	if len(path) > mostSocket {
		return &fault.Fault{Err: fmt.Errorf("the path of the socket %s is too long", path), Fix: "give a shorter --name, or set XDG_STATE_HOME to a folder with a shorter path"}
	}
	return nil
}

package publish

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/testkit"
)

// The program that finds packages in files takes a second of CPU time to start, and libre
// starts it in each run that describes an image. Most tests here are about something else:
// for them, one process answers all runs. This test program is installed beside their libre
// and forwards requests to that process. Other tasks are the real program's.
const (
	socketName = "recogniser"
	realName   = "real"
)

// relay runs in the process that libre starts.
func relay() error {
	if os.Args[1] != inspect.Packages {
		return syscall.Exec(filepath.Join(filepath.Dir(os.Args[0]), realName), os.Args, os.Environ())
	}
	conn, err := net.Dial("unix", filepath.Join(filepath.Dir(os.Args[0]), socketName))
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin)
		_ = conn.(*net.UnixConn).CloseWrite()
	}()
	_, err = io.Copy(os.Stdout, conn)
	return err
}

// A recogniser is one process of the real program.
type recogniser struct {
	mu        sync.Mutex
	questions io.Writer
	answers   *json.Decoder
}

// startRecogniser makes a folder with libre and the relay, starts the real program once,
// and answers requests until the tests end. It returns libre's path.
var startRecogniser = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(libre.Dir, "relayed")
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	program := filepath.Join(dir, "libre")
	if err := os.Link(libre.Program(), program); err != nil {
		return "", err
	}
	if err := os.Symlink(self, filepath.Join(dir, inspect.Program)); err != nil {
		return "", err
	}
	real := filepath.Join(filepath.Dir(libre.Program()), inspect.Program)
	if err := os.Symlink(real, filepath.Join(dir, realName)); err != nil {
		return "", err
	}
	listener, err := net.Listen("unix", filepath.Join(dir, socketName))
	if err != nil {
		return "", err
	}
	cmd := exec.Command(real, inspect.Packages)
	cmd.Env = append(os.Environ(), "TMPDIR="+libre.Dir)
	r := &recogniser{}
	if r.questions, err = cmd.StdinPipe(); err != nil {
		return "", err
	}
	answers, written, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer written.Close()
	cmd.Stdout, cmd.Stderr = written, os.Stderr
	r.answers = json.NewDecoder(answers)
	if _, err := testkit.Start(cmd); err != nil {
		return "", err
	}
	go r.serve(listener)
	return program, nil
})

func (r *recogniser) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go r.answer(conn)
	}
}

// answer answers the requests of one run.
func (r *recogniser) answer(conn net.Conn) {
	defer conn.Close()
	asked, answered := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var question, answer json.RawMessage
		if asked.Decode(&question) != nil {
			return // the run ended
		}
		r.mu.Lock()
		_, err := fmt.Fprintf(r.questions, "%s\n", question)
		if err == nil {
			err = r.answers.Decode(&answer)
		}
		r.mu.Unlock()
		if err != nil || answered.Encode(answer) != nil {
			return
		}
	}
}

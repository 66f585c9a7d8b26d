package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a child that runs beside the test.
type Process struct {
	Cmd    *exec.Cmd
	Log    *Log          // stdout and stderr, where Cmd has nothing else for them
	Exited chan struct{} // closed at its end
	Err    error         // of Wait, once Exited is closed
}

// Start starts a command in a process group of its own, as a shell gives to what
// is typed. It gets SIGTERM when the test ends before it, also where the test is
// killed. The thread that started it is kept until then, because Linux sends the
// parent-death signal when that thread ends, not the process:
// https://go.dev/issue/27505
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{Cmd: cmd, Log: &Log{}, Exited: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.Log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.Log
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGTERM
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.Err = cmd.Wait()
			close(p.Exited)
		}
	}()
	return p, <-started
}

// Output runs a command to its end, or the test's.
func Output(cmd *exec.Cmd) (stdout, stderr string, err error) {
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	p, err := Start(cmd)
	if err == nil {
		<-p.Exited
		err = p.Err
	}
	return out.String(), log.String(), err
}

// Running is nil while the process runs. Its error ends Eventually.
func (p *Process) Running() error {
	select {
	case <-p.Exited:
		return finalError{fmt.Errorf("%s ended: %w\n%s", filepath.Base(p.Cmd.Path), p.Err, p.Log)}
	default:
		return nil
	}
}

// Log takes output while others read it.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// After gives the rest of the first whole line with a text, behind it.
func (l *Log) After(text string) (string, bool) {
	for _, line := range strings.SplitAfter(l.String(), "\n") {
		if _, rest, ok := strings.Cut(line, text); ok && strings.HasSuffix(rest, "\n") {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// Patience is how long a test waits for what should take a moment, on a machine
// that has other things to do.
const Patience = time.Minute

// Eventually asks until there is no error.
func Eventually(ask func() error) error {
	deadline := time.Now().Add(Patience)
	for {
		err := ask()
		var final finalError
		if err == nil || errors.As(err, &final) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// finalError ends Eventually: waiting does not help.
type finalError struct{ error }

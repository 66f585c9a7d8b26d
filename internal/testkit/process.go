package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/libresh/libre/internal/process"
)

// Process is a child process that runs beside the test.
type Process struct {
	Cmd    *exec.Cmd
	Log    *Log          // stdout and stderr, unless Cmd sets them
	Exited chan struct{} // closed when it ends
	Err    error         // result of Wait, once Exited is closed
}

// Start starts a command in its own process group, as a shell does. The command gets
// SIGTERM if the test ends first, even if the test is killed.
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
	cmd.SysProcAttr.Setpgid = true
	ended, err := process.StartBound(cmd, syscall.SIGTERM)
	if err != nil {
		return p, err
	}
	go func() {
		p.Err = <-ended
		close(p.Exited)
	}()
	return p, nil
}

// Output runs a command until it or the test ends.
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

// Running returns nil while the process runs. Afterwards it returns an error that ends
// Eventually.
func (p *Process) Running() error {
	select {
	case <-p.Exited:
		return finalError{fmt.Errorf("%s ended: %w\n%s", filepath.Base(p.Cmd.Path), p.Err, p.Log)}
	default:
		return nil
	}
}

// Log collects output. It can be read at the same time.
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

// After returns the text after a given text in the first complete line that contains it.
func (l *Log) After(text string) (string, bool) {
	for _, line := range strings.SplitAfter(l.String(), "\n") {
		if _, rest, ok := strings.Cut(line, text); ok && strings.HasSuffix(rest, "\n") {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// Patience is how long a test waits for something that usually takes a moment, because the
// machine may be busy.
const Patience = 3 * time.Minute

// Eventually calls ask until it returns no error, for at most Patience.
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

// finalError is an error that ends Eventually.
type finalError struct{ error }

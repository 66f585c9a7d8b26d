package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// process is a child that runs beside the test.
type process struct {
	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{} // closed at its end
	err    error         // of Wait, once exited is closed
}

// start starts a command whose output goes to a log. It gets SIGTERM when the
// test ends before it, also where the test is killed. The thread that started it
// is kept until then, because Linux sends the parent-death signal when that
// thread ends, not the process: https://go.dev/issue/27505
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, log: &logBuffer{}, exited: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
	}()
	return p, <-started
}

// runBound runs a command to its end, or the test's.
func runBound(cmd *exec.Cmd) error {
	p, err := start(cmd)
	if err != nil {
		return err
	}
	<-p.exited
	return p.err
}

// running is nil while the process runs.
func (p *process) running() error {
	select {
	case <-p.exited:
		return finalError{fmt.Errorf("%s ended: %v\n%s", filepath.Base(p.cmd.Path), p.err, p.log)}
	default:
		return nil
	}
}

// logBuffer takes output while others read it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// after gives the rest of the first whole line with a text, behind it.
func (b *logBuffer) after(text string) (string, bool) {
	lines := strings.SplitAfter(b.String(), "\n")
	for _, line := range lines {
		if _, rest, ok := strings.Cut(line, text); ok && strings.HasSuffix(rest, "\n") {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// processesWith lists the processes, but this one, whose command line or
// environment has a text.
func processesWith(text string) []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if dir == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		// A process may end while it is looked at.
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if bytes.Contains(command, []byte(text)) || bytes.Contains(env, []byte(text)) {
			found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

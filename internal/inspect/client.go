// Package inspect starts the program libre-inspect, and asks it questions: what is slow to
// load or reads what strangers wrote is in that program. Questions and answers are lines of
// JSON.
package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/process"
)

// Program is the name of the program. It is installed beside libre.
const Program = "libre-inspect"

// Tasks of the program, its only argument.
const (
	Packages        = "packages"        // find packages in files
	Vulnerabilities = "vulnerabilities" // find the known vulnerabilities of packages
)

// A Client asks the program questions of type Q, with answers of type A. One process,
// started with the first question, answers all of them in turn. The methods may be called
// from several goroutines at once.
type Client[Q, A any] struct {
	Path string // of the program
	Task string

	mu      sync.Mutex
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	log     bytes.Buffer
}

// question is a line of the program's standard input.
type question[Q any] struct {
	About     Q
	Temporary string // folder for temporary files, which the client removes
}

// answer is a line of the program's standard output.
type answer[A any] struct {
	Is    A
	Error string
	Last  bool // a limit was reached: the program exits
}

// Find gives the path of the program, which is beside libre or in PATH.
func Find() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), Program)
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath(Program)
	if err != nil {
		return "", fmt.Errorf("the program %s is neither beside libre nor in PATH: install both", Program)
	}
	return path, nil
}

// Ask sends a question to the program, which it starts if needed. what describes the
// question in errors.
func (c *Client[Q, A]) Ask(ctx context.Context, what string, about Q) (A, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var none A
	fail := func(err error) (A, error) {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return none, fmt.Errorf("%s: %w", what, err)
	}
	if c.cmd == nil {
		if err := c.start(); err != nil {
			return fail(err)
		}
	}
	temporary, err := os.MkdirTemp("", Program+"-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(temporary) // also if the program was killed
	// The program cannot be interrupted: kill it, and start it again for the next question.
	started := c.cmd.Process
	ended := context.AfterFunc(ctx, func() { _ = started.Kill() })
	defer ended()
	var got answer[A]
	err = json.NewEncoder(c.in).Encode(question[Q]{about, temporary})
	if err == nil {
		err = c.answers.Decode(&got)
	}
	if err != nil {
		_ = started.Kill() // if it runs, but its answer is not valid
		_ = c.cmd.Wait()
		c.cmd = nil
		lines := strings.Split(strings.TrimSpace(c.log.String()), "\n")
		return fail(fmt.Errorf("%s ended: %w: %s", Program, err, lines[len(lines)-1]))
	}
	if got.Last {
		_ = c.cmd.Wait()
		c.cmd = nil
	}
	if got.Error != "" {
		return fail(errors.New(got.Error))
	}
	return got.Is, nil
}

func (c *Client[Q, A]) start() (err error) {
	cmd := exec.Command(c.Path, c.Task)
	cmd.Env = process.Environment()
	cmd.Stderr = &c.log
	if c.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd, c.answers = cmd, json.NewDecoder(out)
	return nil
}

// Close ends the program.
func (c *Client[Q, A]) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd != nil {
		c.in.Close()
		_ = c.cmd.Wait()
		c.cmd = nil
	}
}

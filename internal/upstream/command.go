package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// CommandError is a program that failed, with the end of what it said.
type CommandError struct {
	Program string
	Tail    string
	Err     error
}

func (e *CommandError) Error() string {
	if e.Tail == "" {
		return fmt.Sprintf("%s: %v", e.Program, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Program, e.Tail)
}

func (e *CommandError) Unwrap() error { return e.Err }

// errTooMuch ends a program that says more than anyone would read.
var errTooMuch = errors.New("its output is too long")

// run gives what a program writes, up to mostRefBytes. It has no terminal, so that
// nothing below it can ask for a password, and no repository around it.
func run(ctx context.Context, environment []string, program string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir = "/"
	command.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "GIT_DIR=") // inside a hook of git
	}), environment...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	out := &capture{most: mostRefBytes}
	said := &capture{most: 4096, last: true}
	command.Stdout, command.Stderr = out, said
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		tail := strings.Join(strings.Fields(said.content.String()), " ")
		tail = strings.TrimPrefix(tail, program+": ")
		return nil, &CommandError{program, capped(tail, 400), err}
	}
	return out.content.Bytes(), nil
}

// capture keeps at most so many bytes: more are an error, or, of what only the end
// matters, forgotten.
type capture struct {
	content bytes.Buffer
	most    int
	last    bool
}

func (c *capture) Write(data []byte) (int, error) {
	c.content.Write(data)
	if over := c.content.Len() - c.most; over > 0 {
		if !c.last {
			return 0, errTooMuch
		}
		c.content.Next(over)
	}
	return len(data), nil
}

// gitLsRemote lists tags through git: it knows ssh, its keys and its settings. Of
// git's transports only those named are let through: ext:: would run a command.
func gitLsRemote(ctx context.Context, location string) ([]Tag, error) {
	out, err := run(ctx, []string{"LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "SSH_ASKPASS_REQUIRE=never",
		"GIT_ALLOW_PROTOCOL=file:git:ssh"}, "git", "-c", "protocol.ext.allow=never", "ls-remote", "--tags", "--", location)
	if err != nil {
		return nil, err
	}
	return readLsRemote(string(out))
}

// readLsRemote reads lines of object, tab and reference.
func readLsRemote(out string) ([]Tag, error) {
	var found refs
	for line := range strings.Lines(out) {
		object, reference, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if err := found.add(object, reference); err != nil {
			return nil, err
		}
	}
	return found.tags, nil
}

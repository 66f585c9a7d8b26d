// Package git runs git. The environment names no repository, so git uses the folder
// it runs in, even inside a hook. Git cannot prompt for a password. The most common
// errors are a [fault.Fault] with a fix.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

// Command says how to run git.
type Command struct {
	Dir         string
	Stdin       []byte
	Environment []string  // variables to add, NAME=VALUE
	Secrets     []string  // removed from errors
	MostOutput  int       // bytes of output after which git is killed; 0: no limit
	Output      io.Writer // receives the output; nil: Run returns it
	Hooks       bool      // git may run hooks: messages stay in the user's language
}

// Error is a run of git that failed.
type Error struct {
	Command string // commit, push
	Tail    string // the end of its messages, on one line: untrusted text
	Err     error
}

func (e *Error) Error() string {
	if e.Tail == "" && !errors.As(e.Err, new(*exec.ExitError)) {
		return fmt.Sprintf("git %s: %v", e.Command, e.Err) // it did not start
	}
	if e.Tail == "" {
		return fmt.Sprintf("git %s: %v, without a message: a hook may have refused it", e.Command, e.Err)
	}
	return fmt.Sprintf("git %s: %s", e.Command, e.Tail)
}

func (e *Error) Unwrap() error { return e.Err }

// Run runs git and returns its output without the final newline. When the context
// ends, git and its children get SIGTERM first, so that git removes its locks. The
// error is an *Error, or a [fault.Fault] that wraps one.
func (c Command) Run(ctx context.Context, arguments ...string) (string, error) {
	command := process.Command(ctx, "git", arguments...)
	command.Dir = filepath.Clean(c.Dir)
	command.Env = append(process.Environment(process.Git...), "GIT_TERMINAL_PROMPT=0")
	if !c.Hooks {
		command.Env = append(command.Env, "LC_ALL=C", "LANGUAGE=") // explain matches messages
	}
	command.Env = append(command.Env, c.Environment...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal ssh cannot prompt
	command.Stdin = bytes.NewReader(c.Stdin)
	stdout, stderr := &process.Capture{Most: c.MostOutput}, &process.Capture{Most: mostMessages, End: true}
	command.Stdout, command.Stderr = stdout, stderr
	if c.Output != nil {
		command.Stdout = c.Output
	}
	err := command.Run()
	switch {
	case err == nil:
		return strings.TrimSuffix(stdout.String(), "\n"), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", missing()
	case stdout.Err() != nil:
		return "", &Error{subcommand(arguments), "", stdout.Err()}
	}
	messages := stderr.String()
	if c.Hooks || messages == "" {
		messages = stdout.String() + "\n" + messages
	}
	return "", explain(messages, &Error{subcommand(arguments), c.tail(messages), err})
}

// Output runs git in a folder and returns its output. Git takes no optional lock.
func Output(ctx context.Context, dir string, arguments ...string) (string, error) {
	return Command{Dir: dir}.Run(ctx, append([]string{"--no-optional-locks"}, arguments...)...)
}

// Top returns the top folder of the repository that dir is in.
func Top(ctx context.Context, dir string) (string, error) {
	return Output(ctx, dir, "rev-parse", "--show-toplevel")
}

// subcommand returns the name of git's subcommand, which follows the global options.
func subcommand(arguments []string) string {
	for len(arguments) > 1 && strings.HasPrefix(arguments[0], "-") {
		if arguments[0] == "-c" || arguments[0] == "-C" {
			arguments = arguments[1:]
		}
		arguments = arguments[1:]
	}
	return arguments[0]
}

const maxTail = 400 // bytes

// tail returns the end of the messages of git, a hook or a server, on one line,
// without secrets and hints. It includes git's own last line.
func (c Command) tail(messages string) string {
	for _, secret := range c.Secrets {
		messages = strings.ReplaceAll(messages, secret, "…")
	}
	var lines []string
	for line := range strings.Lines(messages) {
		if !strings.HasPrefix(line, "hint: ") {
			lines = append(lines, line)
		}
	}
	tail := text.Line(strings.Join(lines, ""))
	if over := len(tail) - maxTail; over > 0 {
		tail = "… " + strings.ToValidUTF8(tail[over:], "")
	}
	return tail
}

// mostMessages is the number of bytes that are kept of the end of git's messages.
const mostMessages = 16 << 10

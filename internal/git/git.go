// Package git runs git. Its environment names no repository, so that git looks at
// the folder it runs in, also inside of a hook; it cannot ask for a password; and
// what it complains of most often comes as a [fault.Fault] that says what to type.
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

// Command is how git is to be run.
type Command struct {
	Dir         string
	Stdin       []byte
	Environment []string  // beside what git gets of ours
	Secrets     []string  // that no error may hold
	MostOutput  int       // bytes, beyond which it is ended; 0: any number
	Output      io.Writer // gets what it prints; nil for Run to give it
	Hooks       bool      // it may run a person's hooks: they get that person's language
}

// Error is a run of git that did not succeed.
type Error struct {
	Command string // commit, push
	Tail    string // the end of what it said, on one line: outside text
	Err     error
}

func (e *Error) Error() string {
	if e.Tail == "" {
		return fmt.Sprintf("git %s: %v, it said nothing: a hook may be against it", e.Command, e.Err)
	}
	return fmt.Sprintf("git %s: %s", e.Command, e.Tail)
}

func (e *Error) Unwrap() error { return e.Err }

// Run runs git, and gives what it prints without the final newline. It is ended,
// with what it started, when the context ends: it is asked to first, so that its
// locks go. The error is an *Error, or a [fault.Fault] that wraps one.
func (c Command) Run(ctx context.Context, arguments ...string) (string, error) {
	command := process.Command(ctx, "git", arguments...)
	command.Dir = filepath.Clean(c.Dir)
	command.Env = append(process.Environment(process.Git...), "GIT_TERMINAL_PROMPT=0")
	if !c.Hooks {
		command.Env = append(command.Env, "LC_ALL=C", "LANGUAGE=") // messages are looked at
	}
	command.Env = append(command.Env, c.Environment...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // ssh has no terminal to ask at
	command.Stdin = bytes.NewReader(c.Stdin)
	out, said := &process.Capture{Most: c.MostOutput}, &process.Capture{Most: mostSaid, End: true}
	command.Stdout, command.Stderr = out, said
	if c.Output != nil {
		command.Stdout = c.Output
	}
	err := command.Run()
	switch {
	case err == nil:
		return strings.TrimSuffix(out.String(), "\n"), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", missing()
	}
	all := said.String()
	if c.Hooks || all == "" {
		all = out.String() + "\n" + all
	}
	return "", explain(all, &Error{subcommand(arguments), c.tail(all), err})
}

// Output is what git prints in a folder. It takes no lock for what it only looks at.
func Output(ctx context.Context, dir string, arguments ...string) (string, error) {
	return Command{Dir: dir}.Run(ctx, append([]string{"--no-optional-locks"}, arguments...)...)
}

// Top is the folder of the repository that a folder is in.
func Top(ctx context.Context, dir string) (string, error) {
	return Output(ctx, dir, "rev-parse", "--show-toplevel")
}

// subcommand is what git was to do, behind its options.
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

// tail is the end of what git, a hook or a server said, on one line and without
// secrets and advice: git's own last line is in it.
func (c Command) tail(all string) string {
	for _, secret := range c.Secrets {
		all = strings.ReplaceAll(all, secret, "…")
	}
	var lines []string
	for line := range strings.Lines(all) {
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

// mostSaid is how many bytes of git's messages are kept, of the end.
const mostSaid = 16 << 10

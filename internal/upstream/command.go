package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

// CommandError means that a program failed. It has the end of the program's output.
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

// runGo returns the go program's output, up to mostRefBytes. The program has no terminal, so
// nothing can ask for a password, and it runs outside of any repository.
func runGo(ctx context.Context, environment []string, arguments ...string) ([]byte, error) {
	command := process.Command(ctx, "go", arguments...)
	command.Dir = "/"
	command.Env = append(process.Environment(slices.Concat(process.Go, process.Git)...), environment...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, said := &process.Capture{Most: mostRefBytes}, &process.Capture{Most: 4096, End: true}
	command.Stdout, command.Stderr = out, said
	if err := command.Run(); err != nil {
		if over := out.Err(); over != nil {
			return nil, &CommandError{"go", "", over}
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		tail := strings.TrimPrefix(text.Line(said.String()), "go: ")
		return nil, &CommandError{"go", capped(tail, 400), err}
	}
	return out.Bytes(), nil
}

// anyTransport lists the transports that git may use to fetch a definition's source.
const anyTransport = "file:git:ssh:http:https"

// fromGit runs git outside of any repository and without prompts. git may use only the named
// transports, because ext:: would run a command.
func fromGit(ctx context.Context, command git.Command, transports string, arguments ...string) (string, error) {
	command.Dir, command.MostOutput = "/", mostRefBytes
	command.Environment = append(command.Environment, "GIT_ASKPASS=true", "SSH_ASKPASS_REQUIRE=never", "GIT_ALLOW_PROTOCOL="+transports)
	return command.Run(ctx, append([]string{"-c", "protocol.ext.allow=never"}, arguments...)...)
}

// gitLsRemote lists tags with git, so the user's settings, keys for ssh and credential helpers
// apply.
func gitLsRemote(ctx context.Context, location, transports string) ([]Tag, error) {
	out, err := fromGit(ctx, git.Command{}, transports, "ls-remote", "--tags", "--", location)
	if err != nil {
		return nil, err
	}
	return readLsRemote(out)
}

// readLsRemote reads lines with an object, a tab and a reference.
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

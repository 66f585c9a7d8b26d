package containerfile

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// Error is a failure of an engine.
type Error struct {
	Doing  string   // what failed: "build Dockerfile"
	Reason string   // why, on one line
	Tail   []string // the last lines of the engine's output, safe to print
	Log    string   // path of the complete output
	Err    error    // the cause: *exec.ExitError, a context's error, syscall.ENOSPC for storage of libre
}

func (e *Error) Error() string { return e.Doing + ": " + e.Reason }

func (e *Error) Unwrap() error { return e.Err }

const noSpace = "no space left on device"

var (
	// failedStep is the last error of buildah and podman; "error building" before 1.2x.
	failedStep = lazyregexp.New(`(?i)building at STEP "(.*)": (?:while running runtime: )?exit status (\d+)$`)
	// otherStep is the same for errors without an exit status. The step may contain
	// quotes and colons, so its end is a guess.
	otherStep = lazyregexp.New(`(?i)building at STEP "(.*?)": (.*)$`)
	// failedProcess is the last error of BuildKit.
	failedProcess = lazyregexp.New(`process "(.*)" did not complete successfully: exit code: (\d+)`)
	errorLine     = lazyregexp.New(`(?i)^(?:time="[^"]*" level=\w+ msg=)?"?(?:error|fatal): *`)
)

// mostReason is the longest reason, in characters.
const mostReason = 1000

const killed = "the engine was killed; if the memory was full, as dmesg tells, build less at once with -j 1"

// reason finds the cause of a failure in an engine's last lines.
func reason(tail []string, err error) string {
	for i := len(tail) - 1; i >= 0; i-- {
		if strings.Contains(strings.ToLower(tail[i]), noSpace) {
			return noSpace
		}
	}
	for i := len(tail) - 1; i >= 0; i-- {
		for _, form := range []*regexp.Regexp{failedStep(), failedProcess()} {
			if m := form.FindStringSubmatch(tail[i]); m != nil {
				return fmt.Sprintf("%s: exit status %s", m[1], m[2])
			}
		}
		if m := otherStep().FindStringSubmatch(tail[i]); m != nil {
			return m[1] + ": " + m[2]
		}
	}
	for i := len(tail) - 1; i >= 0; i-- {
		if errorLine().MatchString(tail[i]) {
			return strings.TrimPrefix(strings.TrimSuffix(errorLine().ReplaceAllString(tail[i], ""), `"`), "failed to solve: ")
		}
	}
	for i := len(tail) - 1; i >= 0; i-- {
		if tail[i] != "" {
			return tail[i]
		}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			return killed
		}
	}
	return err.Error()
}

// madeNothing returns the error for an engine that reports success but made nothing.
func madeNothing(doing string, out *output) *Error {
	return failure(doing, out, errors.New("the engine ended without an error, and made no image; run the same command again"))
}

// failure makes an error from the output of a child process.
func failure(doing string, out *output, err error) *Error {
	e := &Error{Doing: doing, Tail: out.tail(), Log: out.path, Err: err}
	var exit *exec.ExitError
	switch {
	case out.ctx.Err() != nil:
		e.Err = out.ctx.Err()
		e.Reason = "interrupted"
		if errors.Is(e.Err, errDeadline) {
			e.Reason = "timed out"
		}
	case errors.As(err, &exit):
		e.Reason = text.Short(reason(e.Tail, err), mostReason)
	default:
		e.Reason = text.Line(err.Error())
	}
	if e.Reason == noSpace || errors.Is(err, syscall.ENOSPC) {
		e.Reason = noSpace
		if out.disk != "" { // libre's own, where libre gc frees space
			e.Reason, e.Err = noSpace+" below "+out.disk, syscall.ENOSPC
		}
	}
	return e
}

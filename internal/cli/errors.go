package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
)

// Exit codes, the same for every command.
const (
	exitDone        = 0
	exitError       = 1
	exitUsage       = 2
	exitSomeFailed  = 3
	exitCredentials = 4
	exitOutdated    = 10
	exitInterrupted = 130
)

// usageError is a mistake in what was typed.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// someFailed says that the run went on past failures, which were printed.
type someFailed struct {
	what      string // images or apps
	count, of int
}

func (e someFailed) Error() string {
	return fmt.Sprintf("%d of %d %s failed", e.count, e.of, e.what)
}

// exitCode is the policy of the exit codes, in one place.
func exitCode(err error) int {
	var unknown *catalog.UnknownError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, new(usageError)), errors.As(err, &unknown), errors.Is(err, catalog.ErrNothingSelected), fault.Is(err, fault.Usage):
		return exitUsage
	case fault.Is(err, fault.Credentials):
		return exitCredentials
	case errors.As(err, new(someFailed)):
		return exitSomeFailed
	case errors.As(err, new(someOutdated)):
		return exitOutdated
	}
	return exitError
}

// errReported is an error that was printed already, line by line.
var errReported = errors.New("")

// report prints why a command ended: one line.
func (e *env) report(err error) {
	switch {
	case errors.Is(err, context.Canceled):
		e.Errorf("interrupted; run the same command again to continue")
	case err.Error() != "":
		e.Errorf("%s", err)
	}
}

package cli

import (
	"context"
	"errors"

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

// A someFailed is the error of a run that continued after failures, which are printed
// already. It says how many failed.
type someFailed string

func (e someFailed) Error() string { return string(e) }

// exitCode returns the exit code of an error.
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

// errReported is an error that is already printed, line by line.
var errReported = errors.New("")

// report prints the error of a command on one line.
func (e *env) report(err error) {
	switch {
	case errors.Is(err, context.Canceled):
		e.Errorf("interrupted; run the same command again to continue")
	case err.Error() != "":
		e.Errorf("%s", fault.OfDisk(err))
	}
}

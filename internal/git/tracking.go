package git

import (
	"context"
	"errors"
	"os/exec"
	"strings"
)

// Tracking is the state of a file in git. Nix sees only the tracked files of a flake
// in a repository.
type Tracking int

const (
	Tracked     Tracking = iota // in the index, committed or not
	Untracked                   // not in the index
	Ignored                     // not in the index, and ignored by .gitignore
	InSubmodule                 // in a submodule, which is another repository
)

// TrackingOf returns the state of the file at path name in dir. A folder is tracked
// if any file in it is. Outside of a repository, where Nix sees every file, the error
// is [ErrNoRepository].
func TrackingOf(ctx context.Context, dir, name string) (Tracking, error) {
	found, err := Output(ctx, dir, "--literal-pathspecs", "ls-files", "--cached", "-z", "--", name)
	if err == nil && found != "" {
		return Tracked, nil
	}
	if err == nil {
		_, err = Output(ctx, dir, "check-ignore", "--quiet", "--", "./"+name)
	}
	var failure *Error
	var exit *exec.ExitError
	switch {
	case err == nil:
		return Ignored, nil
	case errors.As(err, &failure) && strings.Contains(failure.Tail, "in submodule"):
		return InSubmodule, nil
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return Untracked, nil
	}
	return Tracked, err
}

// Fix returns the command that makes git track the file; "" if there is none.
func (t Tracking) Fix(name string) string {
	switch t {
	case Untracked:
		return "git add " + quoted(name)
	case Ignored:
		return "git add --force " + quoted(name)
	}
	return ""
}

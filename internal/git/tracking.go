package git

import (
	"context"
	"errors"
	"os/exec"
	"strings"
)

// Tracking is what git does with a file. Of a flake in a repository Nix sees only
// what is tracked.
type Tracking int

const (
	Tracked   Tracking = iota // in the index, committed or not
	Untracked                 // not in the index
	Ignored                   // not in the index, and "git add" leaves it out (.gitignore)
	Elsewhere                 // in a submodule: another repository
)

// TrackingOf tells what git does with a file, by its path in a folder. A folder is
// tracked where any file in it is. In no repository it is [ErrNoRepository]: nothing
// is hidden there.
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
		return Elsewhere, nil
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return Untracked, nil
	}
	return Tracked, err
}

// Fix is what to type so that git tracks the file; "" where nothing does that.
func (t Tracking) Fix(name string) string {
	switch t {
	case Untracked:
		return "git add " + quoted(name)
	case Ignored:
		return "git add --force " + quoted(name)
	}
	return ""
}

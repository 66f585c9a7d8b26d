package containerfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/libresh/libre/internal/fault"
)

// Loader loads images into the user's own storage of podman, or into docker's daemon.
type Loader struct {
	Name string // podman or docker
	path string
}

// FindLoader finds podman or docker, and checks that it works, in any version. The error
// says what is missing.
func FindLoader(ctx context.Context, name string) (Loader, error) {
	if name != "podman" && name != "docker" {
		return Loader{}, fmt.Errorf("cannot load images into %q: expected docker or podman", name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return Loader{}, &fault.Fault{Err: fmt.Errorf("%s is not installed", name), Fix: Engine{Name: name}.tool().install}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := newOutput(ctx, "", nil)
	if err != nil {
		return Loader{}, err
	}
	l := Loader{Name: name, path: path}
	if err := run(l.child("version"), out); err != nil { // docker queries its daemon, too
		return Loader{}, failure("run "+name+" version", out, err)
	}
	return l, nil
}

// Load streams an archive into the program. what is the image's name for errors; an error
// of the program is an [*Error].
func (l Loader) Load(ctx context.Context, what string, archive func(io.Writer) error) error {
	doing := fmt.Sprintf("load %s into %s", what, l.Name)
	out, err := newOutput(ctx, "", nil)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := archive(w)
		w.CloseWithError(err)
		written <- err
	}()
	c := l.child("load", "--quiet")
	c.stdin = r
	err = run(c, out)
	r.Close() // ends the writer if the child did not read everything
	if werr := <-written; werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		return fmt.Errorf("%s: %w", doing, werr)
	}
	if err != nil {
		return failure(doing, out, err)
	}
	return nil
}

// child prepares the program with the user's own storage and policy.
func (l Loader) child(args ...string) child {
	return child{path: l.path, args: args, env: environment(ownStorage...)}
}

package containerfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// Loader is a program that takes images into the user's own storage: podman, or
// docker into its daemon.
type Loader struct {
	Name string // podman or docker
	path string
}

// FindLoader finds podman or docker and sees that it answers. Unlike an engine
// that builds, any version will do. The error says what is missing.
func FindLoader(ctx context.Context, name string) (Loader, error) {
	if name != "podman" && name != "docker" {
		return Loader{}, fmt.Errorf("cannot load images into %q: expected docker or podman", name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return Loader{}, fmt.Errorf("%s is not installed: %s", name, Engine{Name: name}.tool().install)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := newOutput(ctx, "", nil)
	if err != nil {
		return Loader{}, err
	}
	l := Loader{Name: name, path: path}
	if err := run(l.child("version"), out); err != nil { // docker asks its daemon, too
		return Loader{}, failure("run "+name+" version", out, err)
	}
	return l, nil
}

// Load hands an archive to the program while archive writes it. what is named
// in the error, an [*Error] if it is the program's.
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
	r.Close() // ends the writer when the child has not read to the end
	if werr := <-written; werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		return fmt.Errorf("%s: %w", doing, werr)
	}
	if err != nil {
		return failure(doing, out, err)
	}
	return nil
}

// child is the program without flags for storage or policy: the user's own.
func (l Loader) child(args ...string) child {
	return child{path: l.path, args: args, env: environment(ownStorage...)}
}

package buildkit

import (
	"context"
	"fmt"
	"io"

	"github.com/libresh/libre/internal/oci/layout"
)

// receiver unpacks the archive that is written to it.
type receiver struct {
	*io.PipeWriter
	done <-chan error
}

// receive unpacks the archive of an OCI layout into a new folder.
func receive(ctx context.Context, dir string) io.WriteCloser {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := unpack(ctx, r, dir)
		r.CloseWithError(err) // the daemon must not wait
		done <- err
	}()
	return receiver{w, done}
}

// Close waits until the archive is unpacked.
func (r receiver) Close() error {
	_ = r.PipeWriter.Close() // never fails
	return <-r.done
}

func unpack(ctx context.Context, from io.Reader, dir string) error {
	to, err := layout.Create(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := to.ReadArchive(ctx, from); err != nil {
		return fmt.Errorf("the image of BuildKit's daemon: %w", err)
	}
	return nil
}

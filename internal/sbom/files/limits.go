package files

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/sbom"
)

// A watch measures the memory and disk that this program uses while it reads an image, and ends
// it at a limit, because syft unpacks nested archives without a limit. It counts the written
// bytes, because archives may lie about their size.
type watch struct {
	limits sbom.Limits
	ended  chan struct{}

	mu     sync.Mutex
	before int64 // bytes written before the present step
	most   int64 // bytes that this step may write
	met    error // the error if it writes more
}

// newWatch starts a watch. At a limit it calls end once, with an error that names it.
func newWatch(limits sbom.Limits, end func(error)) (*watch, error) {
	before, err := written()
	if err != nil {
		return nil, err
	}
	w := &watch{limits: limits, ended: make(chan struct{}), before: before, most: limits.Image}
	w.met = fmt.Errorf("unpacking its layers takes more than the limit of %d bytes: raise limits.image in libre.yaml", limits.Image)
	go w.run(end)
	return w, nil
}

// unpacked ends the step that writes the image's own files. The bytes written so far are their
// size.
func (w *watch) unpacked() error {
	now, err := written()
	if err != nil {
		return err
	}
	return w.holds(now - w.before)
}

// holds sets the size in bytes of the image's own files. The next step unpacks the archives in
// them. syft copies an archive before it unpacks it, so the image's size may be written once
// more.
func (w *watch) holds(size int64) error {
	now, err := written()
	w.mu.Lock()
	defer w.mu.Unlock()
	if size > w.limits.Image {
		return w.met
	}
	w.most, w.before = size+w.limits.Nested, now
	w.met = fmt.Errorf("unpacking the archives in it takes more than the limit of %d bytes: raise limits.nested in libre.yaml", w.limits.Nested)
	return err
}

func (w *watch) run(end func(error)) {
	for ticker := time.NewTicker(inspect.Interval); ; {
		select {
		case <-w.ended:
			ticker.Stop()
			return
		case <-ticker.C:
			if err := w.check(); err != nil {
				end(err)
				return
			}
		}
	}
}

// check returns an error if a limit is reached.
func (w *watch) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, err := written()
	if err != nil {
		return err
	}
	if now-w.before > w.most {
		return w.met
	}
	return inspect.CheckMemory(w.limits.Memory)
}

func (w *watch) end() { close(w.ended) }

// written returns how many bytes this process has written.
// https://docs.kernel.org/filesystems/proc.html#proc-pid-io-display-the-io-accounting-fields
func written() (bytes int64, err error) {
	text, err := os.ReadFile("/proc/self/io")
	if err == nil {
		_, err = fmt.Sscanf(string(text), "rchar: %d\nwchar: %d", new(int64), &bytes)
	}
	return bytes, err
}

package files

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/libresh/libre/internal/sbom"
)

// A watch looks at what this program takes while it reads an image, and ends it where
// that is more than the limits: syft unpacks archives within archives, without counting.
// It counts the bytes that are written, whatever archives say of their size.
type watch struct {
	limits sbom.Limits
	ended  chan struct{}

	mu     sync.Mutex
	before int64 // written when what is done now began
	most   int64 // bytes that it may write
	met    error // what is said where it writes more
}

// howOften is a compromise: between two looks some 20 MB can be written.
const howOften = 10 * time.Millisecond

// newWatch begins to look; end is called once, with the limit that was met.
func newWatch(limits sbom.Limits, end func(error)) (*watch, error) {
	before, err := written()
	if err != nil {
		return nil, err
	}
	w := &watch{limits: limits, ended: make(chan struct{}), before: before, most: limits.Image}
	w.met = fmt.Errorf("unpacking its layers takes more than the limit of %d bytes: limits.image in libre.yaml sets it", limits.Image)
	go w.look(end)
	return w, nil
}

// unpacked says that the image's own files were written: from now on it is what is within
// these. Archives are copied before they are unpacked, which may be as much again.
func (w *watch) unpacked() error {
	now, err := written()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most, w.before = now-w.before+w.limits.Nested, now
	w.met = fmt.Errorf("unpacking the archives in it takes more than the limit of %d bytes: limits.nested in libre.yaml sets it", w.limits.Nested)
	return err
}

func (w *watch) look(end func(error)) {
	for ticker := time.NewTicker(howOften); ; {
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

// check says which limit was met.
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
	held, err := resident()
	if err == nil && held > w.limits.Memory {
		err = fmt.Errorf("it takes more memory than the limit of %d bytes: limits.memory in libre.yaml sets it", w.limits.Memory)
	}
	return err
}

func (w *watch) end() { close(w.ended) }

// written is how many bytes this process has handed to the kernel.
// https://docs.kernel.org/filesystems/proc.html#proc-pid-io-display-the-io-accounting-fields
func written() (bytes int64, err error) {
	text, err := os.ReadFile("/proc/self/io")
	if err == nil {
		_, err = fmt.Sscanf(string(text), "rchar: %d\nwchar: %d", new(int64), &bytes)
	}
	return bytes, err
}

// resident is how much memory this process holds, in bytes.
func resident() (bytes int64, err error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%d %d", new(int64), &bytes)
	}
	return bytes * int64(os.Getpagesize()), err
}

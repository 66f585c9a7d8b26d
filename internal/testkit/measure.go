package testkit

import (
	"archive/tar"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/pgzip"
)

// CPUTime returns the time that the process used on all CPUs. Unlike elapsed time, it can be
// compared between an idle machine and a busy one.
func CPUTime(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// MostIn measures the total size of the files in a folder, in bytes, until the returned
// function is called. That function returns the maximum.
func MostIn(dir string) func() int64 {
	var most int64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var now int64
			_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
				if err == nil && info.Mode().IsRegular() {
					now += info.Size()
				}
				return nil
			})
			most = max(most, now)
			select {
			case <-end:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(end); <-ended; return most }
}

// TarSumPgzip streams the files below a folder through tar, SHA-256 and pgzip. The time for
// making layers is compared with it.
func TarSumPgzip(t testing.TB, to io.Writer, dir string, level int) {
	t.Helper()
	z, err := pgzip.NewWriterLevel(to, level)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(io.MultiWriter(sha256.New(), z))
	err = w.AddFS(os.DirFS(dir))
	for _, end := range []io.Closer{w, z} {
		if closeErr := end.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

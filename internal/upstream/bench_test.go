package upstream_test

import (
	"archive/tar"
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/libresh/libre/internal/upstream"
)

// BenchmarkHashArchive hashes an archive of 50 MB with files of the Go distribution. It is
// compared, in the same run, with gunzip and SHA-256 of the output. "x-yardstick" is the time
// as a multiple of theirs. "x-cpu" is the same for the time on all CPUs, which does not change
// on a busy machine.
func BenchmarkHashArchive(b *testing.B) {
	file, unpacked := largeArchive(b, 50e6)
	b.SetBytes(unpacked)
	var ours, yardstick, oursCPU, yardstickCPU time.Duration
	for b.Loop() {
		b.StopTimer()
		wall, cpu := timed(b, func() error { return gunzipSum(file) })
		yardstick, yardstickCPU = yardstick+wall, yardstickCPU+cpu
		b.StartTimer()
		wall, cpu = timed(b, func() error {
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			a, err := upstream.HashArchive(f, upstream.DefaultArchiveLimits)
			if err != nil {
				return err
			}
			return a.Close()
		})
		ours, oursCPU = ours+wall, oursCPU+cpu
	}
	b.ReportMetric(ours.Seconds()/yardstick.Seconds(), "x-yardstick")
	b.ReportMetric(oursCPU.Seconds()/yardstickCPU.Seconds(), "x-cpu")
}

func timed(b *testing.B, f func() error) (wall, cpu time.Duration) {
	b.Helper()
	busy := func() time.Duration {
		var usage syscall.Rusage
		must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	start, before := time.Now(), busy()
	must(b, f())
	return time.Since(start), busy() - before
}

func gunzipSum(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	_, err = io.Copy(sha256.New(), z)
	return err
}

// largeArchive packs files of the Go distribution until the archive has the given size. It
// returns the archive and its unpacked size.
func largeArchive(b *testing.B, size int64) (file string, unpacked int64) {
	b.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	must(b, err)
	goroot, err := filepath.EvalSymlinks(strings.TrimSpace(string(out)))
	must(b, err)
	f, err := os.Create(filepath.Join(b.TempDir(), "large.tar.gz"))
	must(b, err)
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, 6)
	must(b, err)
	w := tar.NewWriter(z)
	for round := "top/1/"; ; round += "1/" {
		must(b, filepath.WalkDir(goroot, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			if at, err := f.Seek(0, io.SeekCurrent); err != nil || at >= size {
				return fs.SkipAll
			}
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			unpacked += int64(len(content))
			header := &tar.Header{Name: round + strings.TrimPrefix(name, goroot+"/"), Mode: 0o644, Size: int64(len(content))}
			if err := w.WriteHeader(header); err != nil {
				return err
			}
			_, err = w.Write(content)
			return err
		}))
		if at, err := f.Seek(0, io.SeekCurrent); err != nil || at >= size {
			break
		}
	}
	must(b, w.Close())
	must(b, z.Close())
	return f.Name(), unpacked
}

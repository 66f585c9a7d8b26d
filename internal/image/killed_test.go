package image

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

// putDemo assembles the demo image and names it.
func putDemo(t testing.TB, l *layout.Layout, name string) Result {
	t.Helper()
	s, spec := demo(t)
	result, err := Assemble(context.Background(), l, spec, s.options())
	check(t, err)
	index, err := Index(context.Background(), l, []v1.Descriptor{result.Descriptor}, spec.Annotations)
	check(t, err)
	check(t, l.Put(name, index, map[string]string{ImageKeyAnnotation: "key"}))
	return result
}

// TestLayoutKilled kills a process in the middle of assembling. The layout opens at once and
// has the old entries. A second run has the same result as one that was not interrupted.
func TestLayoutKilled(t *testing.T) {
	if dir := os.Getenv("TEST_ASSEMBLE_UNTIL_KILLED"); dir != "" {
		assembleUntilKilled(t, dir)
	}
	l := newLayout(t)
	result := putDemo(t, l, "a:1-1")
	l.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLayoutKilled$")
	cmd.Env = append(os.Environ(), "TEST_ASSEMBLE_UNTIL_KILLED="+l.Dir())
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	check(t, cmd.Process.Kill())
	cmd.Wait()
	check(t, err)

	temps, err := filepath.Glob(filepath.Join(l.Dir(), "blobs/sha256", ".tmp-*"))
	if err != nil || len(temps) == 0 {
		t.Fatalf("the process was not killed while it wrote: %v", err)
	}
	again, err := layout.Create(context.Background(), l.Dir(), nil)
	check(t, err)
	defer again.Close()
	if entry, ok, err := again.Lookup("a:1-1"); !ok || !entry.Complete || err != nil || entry.Annotations[layout.RefNameAnnotation] != "a:1-1" {
		t.Errorf("%+v, %v, %v", entry, ok, err)
	}
	freed, err := again.Prune()
	if temps, _ := filepath.Glob(filepath.Join(l.Dir(), "blobs/sha256", ".tmp-*")); err != nil || freed == 0 || len(temps) != 0 {
		t.Errorf("pruning: %d bytes, %v, left %v", freed, err, temps)
	}
	if repeated := putDemo(t, again, "a:1-1"); repeated.Descriptor.Digest != result.Descriptor.Digest {
		t.Error("the digest after the kill is another one")
	}
}

// assembleUntilKilled writes an endless layer.
func assembleUntilKilled(t *testing.T, dir string) {
	l, err := layout.Create(context.Background(), dir, nil)
	check(t, err)
	_, err = writeLayer(context.Background(), l, Gzip, v1.Hash{}, func(w io.Writer) error {
		noise := rand.NewChaCha8([32]byte{})
		block := make([]byte, 1<<20)
		for n := range 1 << 10 {
			noise.Read(block)
			if _, err := w.Write(block); err != nil {
				return err
			}
			if n == 16 {
				fmt.Println("writing")
				time.Sleep(time.Minute)
			}
		}
		return nil
	})
	check(t, err)
}

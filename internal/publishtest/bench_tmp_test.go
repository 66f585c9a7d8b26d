package publishtest

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

func BenchmarkTmp(b *testing.B) {
	store := newDebianStore(b, "postgresql-15")
	for range 4 {
		host := testkit.DockerRegistry(b, b.TempDir())
		t0, c0 := time.Now(), testkit.CPUTime(b)
		file := filepath.Join(b.TempDir(), "archive.tar")
		f, _ := os.Create(file)
		archive := tar.NewWriter(f)
		if err := store.writeDockerArchive(archive); err != nil {
			b.Fatal(err)
		}
		archive.Close()
		f.Close()
		t1, c1 := time.Now(), testkit.CPUTime(b)
		cpu := skopeo(b, "copy", "docker-archive:"+file, "docker://"+host+"/image:1")
		t2 := time.Now()
		host = testkit.DockerRegistry(b, b.TempDir())
		t3, c3 := time.Now(), testkit.CPUTime(b)
		dir := filepath.Join(b.TempDir(), "dist")
		idx := store.assemble(b, dir)
		t4, c4 := time.Now(), testkit.CPUTime(b)
		pushIndex(b, dir, idx, host)
		t5, c5 := time.Now(), testkit.CPUTime(b)
		fmt.Fprintf(os.Stderr, "archive %v cpu %v; skopeo %v cpu %v; assemble %v cpu %v; push %v cpu %v = %.3f\n", t1.Sub(t0), c1-c0, t2.Sub(t1), cpu, t4.Sub(t3), c4-c3, t5.Sub(t4), c5-c4, t5.Sub(t3).Seconds()/t2.Sub(t0).Seconds())
		os.Remove(file)
	}
}

package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestChangesThatWaitAreWrittenAtOnce(t *testing.T) {
	s, err := New("", t.TempDir())
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	d := v1.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064d", 1)}, Size: 2}
	refused := errors.New("refused")
	var written []fs.FileInfo // index.json when each change was made
	change := func(i int) error {
		repository := fmt.Sprintf("app%d", i%3)
		return s.writable.update(repository, func(entries []v1.Descriptor) ([]v1.Descriptor, error) {
			file, err := s.writable.StatIndex()
			check(t, err)
			if len(written) == 0 || !layout.SameIndex(file, written[len(written)-1]) {
				written = append(written, file)
			}
			if i%10 == 7 {
				return nil, refused
			}
			return layout.SetRefName(entries, fmt.Sprintf("%s:%d", repository, i), d, nil), nil
		})
	}
	check(t, change(0))
	failed := make([]error, 100)
	var all sync.WaitGroup
	s.writable.mu.Lock() // as while another change is written
	for i := 1; i < 100; i++ {
		all.Go(func() { failed[i] = change(i) })
	}
	for waiting := 0; waiting < 99; time.Sleep(time.Millisecond) {
		s.writable.waiting.mu.Lock()
		waiting = len(s.writable.waiting.all)
		s.writable.waiting.mu.Unlock()
	}
	s.writable.mu.Unlock()
	all.Wait()
	if len(written) != 2 {
		t.Errorf("index.json was written %d times", len(written))
	}
	repos, err := s.writable.repositories()
	check(t, err)
	for i := range 100 {
		_, there := repos[fmt.Sprintf("app%d", i%3)].tags[fmt.Sprint(i)]
		if wanted := i%10 != 7; there != wanted || (failed[i] == nil) != wanted {
			t.Errorf("%d: there: %v, %v", i, there, failed[i])
		}
	}
}

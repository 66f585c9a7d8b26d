package containerfile

import (
	"fmt"
	"sync"
	"testing"
)

// Builds that start at the same time on one image, under several names, never see it half
// imported.
func TestBuildsImportAnImageOneAtATime(t *testing.T) {
	dist := catalogueLayout(t, "base", busyboxIndex(t))
	withEngines(t, func(t *testing.T, e Engine) {
		if e.Name == "docker" {
			return // libre has no storage for it
		}
		s := newStorage(t, e)
		var builds sync.WaitGroup
		for n := range 8 {
			name := fmt.Sprintf("images.example/base%d", n)
			req := request(t, write(t, map[string]string{"Containerfile": "FROM " + name + "\nLABEL n=1\n"}), map[string]Origin{name: {Layout: dist}})
			builds.Go(func() {
				if _, err := NewBuilder(e, s).Build(t.Context(), req); err != nil {
					t.Error(describe(err))
				}
			})
		}
		builds.Wait()
	})
}

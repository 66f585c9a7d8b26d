package find

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/sbom"
)

// Refresh reads the SBOMs of the images that the index lacks, several at once, and returns
// why some could not be read. Images never change, so the index stays valid.
func (x *Index) Refresh(ctx context.Context, images []Image, read func(ctx context.Context, n int) (*sbom.Document, error)) map[Image]error {
	failed := map[Image]error{}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(2 * runtime.NumCPU())
	for n, image := range images {
		if x.Has(image) {
			continue
		}
		group.Go(func() error {
			document, err := read(ctx, n)
			if err == nil {
				err = x.Put(image, document)
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[image] = err
			}
			return nil
		})
	}
	_ = group.Wait() // none of them fails
	return failed
}

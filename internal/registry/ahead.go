package registry

import (
	"context"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/oci/layout"
)

// Ahead sends layers of images while other layers are still being written. PushIndex sends what
// it did not send, so it reports no errors, and its first one ends it.
type Ahead struct {
	client *Client
	layout func() (*layout.Layout, error)

	mu        sync.Mutex
	queue     []aheadLayer
	isStopped bool // a layer failed
	workers   int
	group     sync.WaitGroup
}

type aheadLayer struct {
	ref   catalog.Ref
	layer v1.Descriptor
}

// aheadLasts is how long a repository is trusted to keep a layer that no manifest names.
// Registries that collect such blobs wait longer: zot waits an hour.
const aheadLasts = 10 * time.Minute

// NewAhead returns an Ahead for the layers of an OCI layout, which is opened for the first of them.
func (c *Client) NewAhead(layout func() (*layout.Layout, error)) *Ahead {
	return &Ahead{client: c, layout: layout}
}

// Send sends a layer to the repository of an image. It returns at once.
func (a *Ahead) Send(ctx context.Context, ref catalog.Ref, layer v1.Descriptor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.isStopped {
		return
	}
	a.queue = append(a.queue, aheadLayer{ref, layer})
	if a.workers < blobsAtOnce {
		a.workers++
		a.group.Go(func() { a.work(ctx) })
	}
}

// Wait waits until all layers are sent, or one failed.
func (a *Ahead) Wait() { a.group.Wait() }

func (a *Ahead) work(ctx context.Context) {
	for next := a.next(); next != nil; next = a.next() {
		if err := a.send(ctx, next.ref, next.layer); err != nil {
			a.stop()
		}
	}
}

// next returns the next layer, or nil if there is none: then the worker ends.
func (a *Ahead) next() *aheadLayer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		a.workers--
		return nil
	}
	next := a.queue[0]
	a.queue = a.queue[1:]
	return &next
}

func (a *Ahead) send(ctx context.Context, ref catalog.Ref, layer v1.Descriptor) error {
	tag, err := a.client.Tag(ref)
	if err != nil {
		return err
	}
	from, err := a.layout()
	if err != nil {
		return err
	}
	t := transfer{client: a.client, repository: tag.Context(), from: layoutOrigin{from, a.client}, ahead: true}
	t.assumeNew = a.client.blobs.isListed(t.repository)
	return t.sendBlob(ctx, layer)
}

// stop forgets what is queued: a registry that refuses one layer seldom takes the next.
func (a *Ahead) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue, a.isStopped = nil, true
}

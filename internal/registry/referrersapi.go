package registry

import (
	"context"
	"path"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// referrersAPI is what this run knows of a registry's referrers API. There is one for each
// namespace: a gateway has the registries behind it below different paths.
type referrersAPI struct {
	presence atomic.Int32  // unknown, present or absent
	isAsked  atomic.Bool   // a reader has begun to find out
	answered chan struct{} // closed when that reader has its answer
	answer   func()        // closes answered, once

	mu           sync.Mutex // held while a writer asks, so that it is asked once
	listsWritten bool       // the registry has listed what was just written
}

const (
	unknown int32 = iota
	present
	absent
)

func (c *Client) referrersAPI(repository name.Repository) *referrersAPI {
	namespace := path.Dir(repository.Name())
	found, known := c.referrers.Load(namespace)
	if !known {
		answered := make(chan struct{})
		api := &referrersAPI{answered: answered, answer: sync.OnceFunc(func() { close(answered) })}
		found, _ = c.referrers.LoadOrStore(namespace, api)
	}
	return found.(*referrersAPI)
}

// isPresent records that the registry has the API.
func (a *referrersAPI) isPresent() {
	a.presence.Store(present)
	a.answer()
}

// wait waits for the first reader's answer. For the first reader it returns at once, and the
// reader must call answer.
func (a *referrersAPI) wait(ctx context.Context) error {
	if a.isAsked.CompareAndSwap(false, true) {
		return nil
	}
	select {
	case <-a.answered:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// conclude is called if the registry refused the API for a subject. It records that the registry
// does not have the API, if it has the subject and refuses again. A registry that has the API may
// refuse it for a subject that it does not know, or once by mistake.
func (c *Client) conclude(ctx context.Context, api *referrersAPI, subject name.Digest) {
	if api.presence.Load() != unknown {
		return
	}
	if has, err := c.has(ctx, subject); err != nil || !has {
		return
	}
	if _, is, err := c.listedReferrers(ctx, subject, bare); err == nil && !is {
		api.presence.CompareAndSwap(unknown, absent)
	}
}

// notListed returns those manifests that the registry does not list by itself, of those that were
// just written for a subject. If the registry has the API but does not list all of them, notListed
// asks again the next time.
func (c *Client) notListed(ctx context.Context, subject name.Digest, written []manifest) ([]manifest, error) {
	api := c.referrersAPI(subject.Context())
	api.mu.Lock()
	defer api.mu.Unlock()
	switch {
	case len(written) == 0 || api.listsWritten:
		return nil, nil
	case api.presence.Load() == absent:
		return written, nil
	}
	all, is, err := c.listedReferrers(ctx, subject, bare)
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(written), func(m manifest) bool {
		return slices.ContainsFunc(all, func(d v1.Descriptor) bool { return d.Digest == m.digest })
	})
	if api.listsWritten = len(missing) == 0; !is {
		c.conclude(ctx, api, subject)
	}
	return missing, nil
}

// bare keeps all referrers, with their digests only.
func bare(d *v1.Descriptor) bool {
	*d = v1.Descriptor{Digest: d.Digest}
	return true
}

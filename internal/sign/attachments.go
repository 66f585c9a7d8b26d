package sign

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
)

// Attachments reads the signatures and attestations of a digest. It keeps each list and
// each attachment after the first read. Several goroutines may use it at once.
type Attachments struct {
	client    *Client
	subject   name.Digest
	listOnly  bool // use attachments that a list contains in full, without fetching their manifests
	firstOnly bool // read only the first group of lists

	contents *contents // may be shared by the Attachments of several digests
	mu       sync.Mutex
	lists    map[listKey]func() ([]candidate, error)
	refused  sync.Map     // large blobs, by digest, size and certificate → why they were refused
	foreign  atomic.Int64 // total bytes of large attachments that were refused
}

// A listKey names one of the lists of a format.
type listKey struct {
	format Format
	name   string
}

// Attachments returns the Attachments of a digest. It sends no request.
func (c *Client) Attachments(subject name.Digest) *Attachments {
	return &Attachments{client: c, subject: subject, lists: map[listKey]func() ([]candidate, error){}, contents: &contents{}}
}

// Listed returns Attachments that use what the list of them contains in full, without
// fetching it. It sends no request.
func (c *Client) Listed(subject name.Digest) *Attachments {
	view := c.Attachments(subject)
	view.listOnly = true
	return view
}

// MayHave reports whether the lists have an attachment of a kind, or one without a kind. It
// reads only the lists, and verifies nothing.
func (v *Attachments) MayHave(ctx context.Context, p *Policy, kind string) (bool, error) {
	return v.has(ctx, p, kind, "")
}

// Claims reports whether the lists have an attachment that says that it is of a kind.
func (v *Attachments) Claims(ctx context.Context, p *Policy, kind string) (bool, error) {
	return v.has(ctx, p, kind)
}

func (v *Attachments) has(ctx context.Context, p *Policy, kinds ...string) (bool, error) {
	for _, format := range p.formats() {
		candidates, err := v.candidates(ctx, format, format.store().lists(kinds[0])[0], "")
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(candidates, func(has candidate) bool { return slices.Contains(kinds, has.kind) }) {
			return true, nil
		}
	}
	return false, nil
}

// candidates returns the attachments in the named lists of a format. Those that are most
// likely of the kind come first. For kind "" it returns all.
func (v *Attachments) candidates(ctx context.Context, format Format, names []string, kind string) ([]candidate, error) {
	var all []candidate
	for _, name := range names {
		some, err := v.list(ctx, listKey{format, name})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if kind == "" {
		return all, nil
	}
	// cosign up to 2.6 annotates attestations as signatures: try those last, and skip other
	// kinds.
	rank := func(has candidate) int { return slices.Index([]string{kind, "", SignatureType}, has.kind) }
	all = slices.DeleteFunc(all, func(has candidate) bool { return rank(has) < 0 })
	slices.SortStableFunc(all, func(a, b candidate) int { return rank(a) - rank(b) })
	return all, nil
}

func (v *Attachments) list(ctx context.Context, which listKey) ([]candidate, error) {
	v.mu.Lock()
	list, ok := v.lists[which]
	if !ok {
		list = sync.OnceValues(func() ([]candidate, error) { return which.format.store().list(ctx, v, which.name) })
		v.lists[which] = list
	}
	v.mu.Unlock()
	return list()
}

// content returns the content of a blob. All manifests that name the blob share it.
func (v *Attachments) content(blob blob, read func(raw []byte) (attachment, error)) *content {
	return v.contents.of(blob, func(ctx context.Context, p *Policy) (attachment, error) {
		raw, err := v.read(ctx, blob, p)
		blob.data = nil
		if err != nil {
			return nil, err
		}
		return read(raw)
	})
}

// contents has the contents of blobs.
type contents struct {
	mu     sync.Mutex
	byBlob map[string]*content // by digest and size: a manifest may give a wrong size
}

// of returns the content of a blob, which fetch fetches if it is new.
func (c *contents) of(blob blob, fetch func(context.Context, *Policy) (attachment, error)) *content {
	key := fmt.Sprintf("%s %d", blob.digest, blob.size)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byBlob == nil {
		c.byBlob = map[string]*content{}
	}
	if c.byBlob[key] == nil {
		c.byBlob[key] = &content{fetch: fetch}
	}
	return c.byBlob[key]
}

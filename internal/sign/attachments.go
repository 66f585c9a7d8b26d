package sign

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
)

// Attachments is what a registry shows of a digest's attachments: of each list and
// each attachment, what it answered to who asked first. It may be used by several
// goroutines at once.
type Attachments struct {
	client  *Client
	subject name.Digest
	glance  bool // take what the lists have of attachments, and read no more of these
	first   bool // look into the first places alone

	mu       sync.Mutex
	lists    map[listed]func() ([]candidate, error)
	contents map[string]*content // by digest and size: a manifest may lie about the size of another's
	refused  sync.Map            // large blobs, with their size and certificate → why they are of no use
	foreign  atomic.Int64        // bytes of large attachments that were of no use
}

// listed is one of the lists of a format.
type listed struct {
	format Format
	place  string
}

// Attachments asks nothing yet.
func (c *Client) Attachments(subject name.Digest) *Attachments {
	return &Attachments{client: c, subject: subject, lists: map[listed]func() ([]candidate, error){}, contents: map[string]*content{}}
}

// candidates are the attachments in some places of a format, what is most likely of
// the kind first; all attachments, for "".
func (v *Attachments) candidates(ctx context.Context, format Format, places []string, kind string) ([]candidate, error) {
	var all []candidate
	for _, place := range places {
		some, err := v.list(ctx, listed{format, place})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if kind == "" {
		return all, nil
	}
	// cosign up to 2.6 annotates attestations as if they were signatures: those
	// are looked at last, and other kinds not at all.
	rank := func(has candidate) int { return slices.Index([]string{kind, "", SignatureType}, has.kind) }
	all = slices.DeleteFunc(all, func(has candidate) bool { return rank(has) < 0 })
	slices.SortStableFunc(all, func(a, b candidate) int { return rank(a) - rank(b) })
	return all, nil
}

func (v *Attachments) list(ctx context.Context, which listed) ([]candidate, error) {
	v.mu.Lock()
	list, ok := v.lists[which]
	if !ok {
		list = sync.OnceValues(func() ([]candidate, error) { return which.format.store().list(ctx, v, which.place) })
		v.lists[which] = list
	}
	v.mu.Unlock()
	return list()
}

// content is the one of a blob, whatever names it.
func (v *Attachments) content(blob blob, read func(raw []byte) (attachment, error)) *content {
	key := fmt.Sprintf("%s %d", blob.digest, blob.size)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.contents[key] == nil {
		v.contents[key] = &content{fetch: func(ctx context.Context, p *Policy) (attachment, error) {
			raw, err := v.read(ctx, blob, p)
			blob.data = nil
			if err != nil {
				return nil, err
			}
			return read(raw)
		}}
	}
	return v.contents[key]
}

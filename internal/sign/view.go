package sign

import (
	"context"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
)

// A View is what a registry shows of a digest's attachments: of each list and
// each attachment, what it answered to who asked first. It may be used by several
// goroutines at once.
type View struct {
	client  *Client
	subject name.Digest
	glance  bool // take what the lists have of attachments, and read no more of these
	first   bool // look into the first places alone

	mu    sync.Mutex
	lists map[listed]func() ([]candidate, error)
}

// listed is one of the lists of a format.
type listed struct {
	format Format
	place  string
}

// View asks nothing yet.
func (c *Client) View(subject name.Digest) *View {
	return &View{client: c, subject: subject, lists: map[listed]func() ([]candidate, error){}}
}

// candidates are the attachments in some places of a format, what is most likely of
// the kind first; all attachments, for "".
func (v *View) candidates(ctx context.Context, format Format, places []string, kind string) ([]candidate, error) {
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

func (v *View) list(ctx context.Context, which listed) ([]candidate, error) {
	v.mu.Lock()
	list, ok := v.lists[which]
	if !ok {
		list = sync.OnceValues(func() ([]candidate, error) {
			all, err := which.format.store().list(ctx, v.client, v.subject, which.place)
			for i, has := range all {
				if v.glance && has.inList != nil {
					all[i].open = func() (*content, error) { return has.inList, nil }
				}
			}
			return all, err
		})
		v.lists[which] = list
	}
	v.mu.Unlock()
	return list()
}

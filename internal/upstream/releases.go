package upstream

import (
	"context"
	"sync"
)

const (
	mostNotes = 64 << 10 // bytes of a release's notes
	mostPages = 100      // of releases; GitHub gives no more than these
)

// releaseList finds releases by tag in a forge's list, which is in no useful order. It reads
// one more page per question, so ask for the best candidates first: they are usually on the
// first pages. If a tag is not found in this way, it asks for the tag itself, which may have no
// release.
type releaseList struct {
	page func(ctx context.Context, number int) (found []Release, more bool, err error)
	one  func(ctx context.Context, tag string) (*Release, error) // nil: there is none

	mu   sync.Mutex
	seen map[string]*Release // nil: the tag has none
	read int                 // pages read
	all  bool
}

func (l *releaseList) find(ctx context.Context, tag string) (*Release, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if release, known := l.seen[tag]; known || l.all {
		return release, nil
	}
	if l.read < mostPages {
		found, more, err := l.page(ctx, l.read+1)
		if err != nil {
			return nil, err
		}
		l.add(found...)
		l.read, l.all = l.read+1, !more
		if release, known := l.seen[tag]; known || l.all {
			return release, nil
		}
	}
	release, err := l.one(ctx, tag)
	if err != nil {
		return nil, err
	}
	if release == nil {
		l.seen[tag] = nil
	} else {
		l.add(*release)
	}
	return l.seen[tag], nil
}

// add stores releases. A tag may have a draft and a release.
func (l *releaseList) add(found ...Release) {
	if l.seen == nil {
		l.seen = map[string]*Release{}
	}
	for _, release := range found {
		if other := l.seen[release.Tag]; other == nil || other.Draft {
			release.Notes = capped(release.Notes, mostNotes)
			l.seen[release.Tag] = &release
		}
	}
}

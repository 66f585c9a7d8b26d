package registry

import (
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A ledger records which repositories have which blobs, as far as this run knows. It is the
// only such record: code that learns of a blob writes it here, and code that sends or writes a
// blob asks here first. The zero value is empty.
type ledger struct {
	mu     sync.Mutex
	blobs  map[v1.Hash]*blobEntry
	listed map[name.Repository]bool // whose blobs were read from an image there
}

type blobEntry struct {
	sending sync.Mutex // held while the blob is sent anywhere
	holders []holder
}

// holder is a repository that has a blob.
type holder struct {
	repository name.Repository
	until      time.Time // after that it may have deleted the blob, which no manifest names; zero for never
}

func (h holder) has() bool { return h.until.IsZero() || time.Now().Before(h.until) }

// in returns the place of a repository among those that had the blob, -1 if it is not there.
func (e *blobEntry) in(repository name.Repository) int {
	return slices.IndexFunc(e.holders, func(h holder) bool { return h.repository == repository })
}

// MarkBlobPresent records that a repository has blobs, which the caller read from an image
// there. PushIndex neither asks for them nor sends them. It assumes that the repository lacks
// smaller blobs that were not recorded.
func (c *Client) MarkBlobPresent(repository name.Repository, digests ...v1.Hash) {
	c.blobs.add(repository, digests...)
	c.blobs.setListed(repository)
}

// HasBlob reports whether this run knows that a repository of the registry has a blob.
// It sends no request.
func (c *Client) HasBlob(digest v1.Hash) bool {
	_, found := c.blobs.anywhere(digest)
	return found
}

// entry returns the record of a blob. The caller holds mu.
func (l *ledger) entry(digest v1.Hash) *blobEntry {
	if l.blobs == nil {
		l.blobs = map[v1.Hash]*blobEntry{}
	}
	if l.blobs[digest] == nil {
		l.blobs[digest] = &blobEntry{}
	}
	return l.blobs[digest]
}

func (l *ledger) add(repository name.Repository, digests ...v1.Hash) {
	l.addUntil(time.Time{}, repository, digests...)
}

// addUntil records blobs that a repository has for some time only, unless it has them anyway.
func (l *ledger) addUntil(until time.Time, repository name.Repository, digests ...v1.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, digest := range digests {
		e := l.entry(digest)
		if at := e.in(repository); at < 0 {
			e.holders = append(e.holders, holder{repository, until})
		} else if until.IsZero() || !e.holders[at].until.IsZero() {
			e.holders[at].until = until
		}
	}
}

func (l *ledger) has(repository name.Repository, digest v1.Hash) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(digest)
	at := e.in(repository)
	return at >= 0 && e.holders[at].has()
}

// anywhere returns a repository that has a blob.
func (l *ledger) anywhere(digest v1.Hash) (name.Repository, bool) {
	return l.holder(digest, func(name.Repository) bool { return true })
}

// mountSource returns a repository in the same registry as other that has a blob, so that other
// can mount the blob from it; "" if there is none.
func (l *ledger) mountSource(digest v1.Hash, other name.Repository) string {
	source, found := l.holder(digest, func(r name.Repository) bool { return r.Registry == other.Registry })
	if !found {
		return ""
	}
	return source.RepositoryStr()
}

// holder returns the first repository with a blob that is of use.
func (l *ledger) holder(digest v1.Hash, isOfUse func(name.Repository) bool) (name.Repository, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.entry(digest).holders {
		if h.has() && isOfUse(h.repository) {
			return h.repository, true
		}
	}
	return name.Repository{}, false
}

// lock waits until nobody sends the blob: after waiting, the caller can have it mounted. The
// caller calls unlock when it has sent the blob.
func (l *ledger) lock(digest v1.Hash) (unlock func()) {
	l.mu.Lock()
	e := l.entry(digest)
	l.mu.Unlock()
	e.sending.Lock()
	return e.sending.Unlock
}

func (l *ledger) setListed(repository name.Repository) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listed == nil {
		l.listed = map[name.Repository]bool{}
	}
	l.listed[repository] = true
}

// isListed reports whether MarkBlobPresent was called for a repository. If so, a blob that is
// not recorded is most likely new to it.
func (l *ledger) isListed(repository name.Repository) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listed[repository]
}

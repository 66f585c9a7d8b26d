package serve

import (
	"cmp"
	"maps"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// changes are waiting to be written into index.json.
type changes struct {
	mu  sync.Mutex
	all []*change
}

// A change is of the entries of one repository. If edit fails, it leaves the entries as they were.
type change struct {
	repository string
	edit       func([]v1.Descriptor) ([]v1.Descriptor, error)
	err        error
}

func (w *changes) add(c *change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, c)
}

func (w *changes) take() []*change {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.all
	w.all = nil
	return all
}

// update writes a change, with all that are waiting by then: index.json is written as a whole,
// which takes the longer the more images there are.
func (l *served) update(repository string, edit func([]v1.Descriptor) ([]v1.Descriptor, error)) error {
	c := &change{repository: repository, edit: edit}
	l.waiting.add(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	if all := l.waiting.take(); len(all) > 0 { // else another one has written c
		err := l.write(all)
		for _, c := range all {
			c.err = cmp.Or(c.err, err)
		}
	}
	return c.err
}

// write changes index.json, and reads the repositories that changed. The caller holds mu.
func (l *served) write(all []*change) error {
	if _, err := l.reload(); err != nil {
		return err
	}
	err := l.Update(func(entries []v1.Descriptor) ([]v1.Descriptor, error) {
		for _, c := range all {
			var edited []v1.Descriptor
			if edited, c.err = c.edit(entries); c.err == nil {
				entries = edited
			}
		}
		return entries, nil
	})
	if err != nil {
		return err
	}
	names, repos := map[string]bool{}, maps.Clone(l.repos)
	for _, c := range all {
		names[c.repository] = true
		delete(repos, c.repository)
	}
	now, err := l.StatIndex()
	if err == nil {
		err = l.fill(repos, names)
	}
	if err != nil {
		return err
	}
	l.read, l.repos = now, repos
	return nil
}

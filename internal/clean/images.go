package clean

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/oci/layout"
)

// images are those of an OCI layout that drop chooses, and blobs of no image.
type images struct {
	dir    string
	drop   func(v1.Descriptor) bool
	before *time.Time // nothing goes if an image was added since then; nil: whenever that was
}

func (i *images) measure(context.Context) (int64, error) {
	l, err := layout.Open(i.dir)
	if isMissing(err) {
		return 0, nil
	}
	if err != nil || i.isFresh(l) {
		return 0, err
	}
	return l.Garbage(i.drop)
}

func (i *images) isFresh(l *layout.Layout) bool {
	info, err := l.StatIndex()
	return i.before != nil && (err != nil || !info.ModTime().Before(*i.before))
}

// remove holds the lock of those who write to the layout, and so finds all images whole.
func (i *images) remove(ctx context.Context) (err error) {
	l, err := layout.Create(ctx, i.dir, nil)
	if errors.Is(err, layout.ErrLocked) {
		return fmt.Errorf("%s stays as it is, because another libre writes to it", i.dir)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if i.isFresh(l) {
		return nil
	}
	if _, err := l.Garbage(i.drop); err != nil {
		return err // before an image loses its name
	}
	err = l.Update(func(entries []v1.Descriptor) ([]v1.Descriptor, error) {
		return slices.DeleteFunc(entries, i.drop), nil
	})
	if err == nil {
		_, err = l.Prune()
	}
	return err
}

package objects

import (
	"context"
	"strings"

	"github.com/rclone/gofakes3"
	"go.etcd.io/bbolt"
)

// ListBucket lists the objects whose keys begin with a prefix, in the order of keys. What has
// the delimiter after the prefix is listed once, up to it.
func (s *Store) ListBucket(_ context.Context, bucket string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	if prefix == nil {
		prefix = &gofakes3.Prefix{}
	}
	list := gofakes3.NewObjectList()
	err := s.view(bucket, func(tx *bbolt.Tx) error {
		from := max(prefix.Prefix, string(after(page.Marker)))
		if page.Marker == "" {
			from = prefix.Prefix
		}
		listed, count, last := "", int64(0), "\x00"
		for _, e := range entries(tx, []byte(from)) {
			if !strings.HasPrefix(e.key, prefix.Prefix) {
				break
			}
			older := e.key == last
			last = e.key
			name, isPrefix := shown(prefix, e.key)
			if older || e.File == "" || isPrefix && (name == listed || name <= page.Marker) {
				continue
			}
			if page.MaxKeys > 0 && count == page.MaxKeys {
				list.IsTruncated, list.NextMarker = true, listed
				break
			}
			if isPrefix {
				list.AddPrefix(name)
			} else {
				list.Add(&gofakes3.Content{Key: e.key, LastModified: gofakes3.NewContentTime(e.Modified), ETag: etag(e.MD5), Size: e.Size})
			}
			listed = name
			count++
		}
		return nil
	})
	return list, err
}

// shown is a key as it is listed: up to the delimiter after the prefix, if it has it.
func shown(prefix *gofakes3.Prefix, key string) (name string, isPrefix bool) {
	if !prefix.HasDelimiter || prefix.Delimiter == "" {
		return key, false
	}
	before, _, found := strings.Cut(key[len(prefix.Prefix):], prefix.Delimiter)
	if !found {
		return key, false
	}
	return prefix.Prefix + before + prefix.Delimiter, true
}

package objects

import (
	"strings"

	"github.com/rclone/gofakes3"
	"go.etcd.io/bbolt"
)

// VersioningConfiguration implements gofakes3.VersionedBackend, as the methods below do.
func (s *Store) VersioningConfiguration(bucket string) (gofakes3.VersioningConfiguration, error) {
	var c gofakes3.VersioningConfiguration
	err := s.view(bucket, func(tx *bbolt.Tx) error {
		c.Status = status(tx)
		return nil
	})
	return c, err
}

func (s *Store) SetVersioningConfiguration(bucket string, c gofakes3.VersioningConfiguration) error {
	if c.MFADelete.Enabled() {
		return gofakes3.ErrNotImplemented
	}
	return s.change(bucket, func(tx *bbolt.Tx) error {
		return tx.Bucket(aboutOf).Put(versioningKey, []byte(c.Status))
	})
}

// ListBucketVersions lists all versions, those of a key from the newest to the oldest.
func (s *Store) ListBucketVersions(bucket string, prefix *gofakes3.Prefix, page *gofakes3.ListBucketVersionsPage) (*gofakes3.ListBucketVersionsResult, error) {
	if prefix == nil {
		prefix = &gofakes3.Prefix{}
	}
	if page == nil {
		page = &gofakes3.ListBucketVersionsPage{}
	}
	list := gofakes3.NewListBucketVersionsResult(bucket, prefix, page)
	err := s.view(bucket, func(tx *bbolt.Tx) error {
		last := "\x00"
		for _, e := range entries(tx, []byte(max(prefix.Prefix, page.KeyMarker))) {
			if !strings.HasPrefix(e.key, prefix.Prefix) {
				break
			}
			latest := e.key != last
			last = e.key
			if isBefore(e, page) {
				continue
			}
			if name, isPrefix := shown(prefix, e.key); isPrefix {
				list.AddPrefix(name)
				continue
			}
			if page.MaxKeys > 0 && int64(len(list.Versions)) == page.MaxKeys {
				list.IsTruncated = true
				break
			}
			list.NextKeyMarker, list.NextVersionIDMarker = e.key, gofakes3.VersionID(e.number())
			list.Versions = append(list.Versions, e.item(latest))
		}
		return nil
	})
	if !list.IsTruncated {
		list.NextKeyMarker, list.NextVersionIDMarker = "", ""
	}
	return list, err
}

// isBefore reports whether a former page has a version. The marker of a page is the number of
// its last record.
func isBefore(e entry, page *gofakes3.ListBucketVersionsPage) bool {
	if e.key != page.KeyMarker || page.KeyMarker == "" {
		return e.key < page.KeyMarker
	}
	return page.VersionIDMarker == "" || e.number() >= string(page.VersionIDMarker)
}

func (e entry) item(latest bool) gofakes3.VersionItem {
	version, modified := gofakes3.VersionID(e.Version), gofakes3.NewContentTime(e.Modified)
	if e.File == "" {
		return &gofakes3.DeleteMarker{Key: e.key, VersionID: version, IsLatest: latest, LastModified: modified}
	}
	return &gofakes3.Version{
		Key: e.key, VersionID: version, IsLatest: latest, LastModified: modified, Size: e.Size, ETag: etag(e.MD5), StorageClass: gofakes3.StorageStandard,
	}
}

package objects

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/rclone/gofakes3"
	"go.etcd.io/bbolt"
)

// PutObject stores an object of so many bytes; -1 is not known.
func (s *Store) PutObject(_ context.Context, bucket, key string, meta map[string]string, input io.Reader, size int64) (gofakes3.PutObjectResult, error) {
	if err := checkKey(key); err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	r, err := s.receive(input, size)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	r.Meta = maps.Clone(meta)
	version, err := s.add(bucket, key, r)
	if err != nil {
		_ = os.Remove(s.path(r.File)) // the error is a code for gofakes3, and stays alone
	}
	return gofakes3.PutObjectResult{VersionID: version, ETag: etag(r.MD5)}, err
}

// receive writes bytes to a new file.
func (s *Store) receive(input io.Reader, size int64) (record, error) {
	file, err := os.CreateTemp(s.path(""), "")
	if err != nil {
		return record{}, err
	}
	sum := md5.New()
	n, err := io.Copy(io.MultiWriter(file, sum), input)
	if err == nil && size >= 0 && n != size {
		err = gofakes3.ErrIncompleteBody
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return record{}, err
	}
	return record{File: filepath.Base(file.Name()), Size: n, MD5: sum.Sum(nil)}, nil
}

// add adds a record of a key, which becomes the newest, and removes the one that it replaces.
func (s *Store) add(bucket, key string, r record) (gofakes3.VersionID, error) {
	var replaced []entry
	r.Modified = time.Now().UTC()
	err := s.change(bucket, func(tx *bbolt.Tx) error {
		number, err := tx.Bucket(recordsOf).NextSequence()
		if err != nil {
			return err
		}
		if status(tx) == gofakes3.VersioningEnabled {
			r.Version = fmt.Sprintf("%016x", number)
		} else if replaced, err = remove(tx, key, ""); err != nil {
			return err
		}
		return entry{position: position(key, number), record: r}.put(tx)
	})
	if err != nil {
		return "", err
	}
	return gofakes3.VersionID(r.Version), s.removeFiles(replaced)
}

// remove removes the record of a key with a version; "" is what has none.
func remove(tx *bbolt.Tx, key, version string) ([]entry, error) {
	for _, e := range of(tx, key) {
		if e.Version == version {
			return []entry{e}, tx.Bucket(recordsOf).Delete(e.position)
		}
	}
	return nil, nil
}

func (s *Store) removeFiles(all []entry) error {
	for _, e := range all {
		if e.File != "" {
			if err := os.Remove(s.path(e.File)); err != nil {
				return err
			}
		}
	}
	return nil
}

// DeleteObject removes an object. If the bucket has versions, it only marks it as deleted.
func (s *Store) DeleteObject(_ context.Context, bucket, key string) (gofakes3.ObjectDeleteResult, error) {
	has := gofakes3.VersioningNone
	var gone []entry
	err := s.change(bucket, func(tx *bbolt.Tx) (err error) {
		if has = status(tx); has == gofakes3.VersioningNone {
			gone, err = remove(tx, key, "")
		}
		return err
	})
	if err != nil {
		return gofakes3.ObjectDeleteResult{}, err
	}
	if has == gofakes3.VersioningNone {
		return gofakes3.ObjectDeleteResult{}, s.removeFiles(gone)
	}
	version, err := s.add(bucket, key, record{})
	return gofakes3.ObjectDeleteResult{IsDeleteMarker: true, VersionID: version}, err
}

// DeleteObjectVersion removes a version for good.
func (s *Store) DeleteObjectVersion(bucket, key string, version gofakes3.VersionID) (gofakes3.ObjectDeleteResult, error) {
	var gone []entry
	err := s.change(bucket, func(tx *bbolt.Tx) (err error) {
		gone, err = remove(tx, key, string(version))
		return err
	})
	if err != nil || len(gone) == 0 {
		return gofakes3.ObjectDeleteResult{}, err
	}
	return gofakes3.ObjectDeleteResult{IsDeleteMarker: gone[0].File == "", VersionID: version}, s.removeFiles(gone)
}

func (s *Store) DeleteMulti(ctx context.Context, bucket string, keys ...string) (gofakes3.MultiDeleteResult, error) {
	var result gofakes3.MultiDeleteResult
	for _, key := range keys {
		if _, err := s.DeleteObject(ctx, bucket, key); err != nil {
			failed := gofakes3.ErrorResultFromError(err)
			failed.Key = key
			result.Error = append(result.Error, failed)
			continue
		}
		result.Deleted = append(result.Deleted, gofakes3.ObjectID{Key: key})
	}
	return result, nil
}

func (s *Store) CopyObject(ctx context.Context, fromBucket, fromKey, bucket, key string, meta map[string]string) (gofakes3.CopyObjectResult, error) {
	from, err := s.GetObject(ctx, fromBucket, fromKey, nil)
	if err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	defer from.Contents.Close()
	if _, err := s.PutObject(ctx, bucket, key, meta, from.Contents, from.Size); err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	return gofakes3.CopyObjectResult{ETag: etag(from.Hash), LastModified: gofakes3.NewContentTime(time.Now())}, nil
}

// SetObjectTagging implements gofakes3.ObjectTaggingBackend.
func (s *Store) SetObjectTagging(_ context.Context, bucket, key, tags string) error {
	return s.change(bucket, func(tx *bbolt.Tx) error {
		e, err := newest(key)(of(tx, key))
		if err != nil {
			return err
		}
		if e.Meta == nil {
			e.Meta = map[string]string{}
		}
		e.Meta[gofakes3.TaggingMetadataKey] = tags
		if tags == "" {
			delete(e.Meta, gofakes3.TaggingMetadataKey)
		}
		return e.put(tx)
	})
}

func etag(md5 []byte) string { return `"` + hex.EncodeToString(md5) + `"` }

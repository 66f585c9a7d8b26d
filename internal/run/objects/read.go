package objects

import (
	"context"
	"io"
	"os"

	"github.com/rclone/gofakes3"
	"go.etcd.io/bbolt"
)

// GetObject opens the newest version of an object. The caller closes its Contents.
func (s *Store) GetObject(_ context.Context, bucket, key string, part *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	return s.open(bucket, key, newest(key), true, part)
}

func (s *Store) HeadObject(_ context.Context, bucket, key string) (*gofakes3.Object, error) {
	return s.open(bucket, key, newest(key), false, nil)
}

func (s *Store) GetObjectVersion(bucket, key string, version gofakes3.VersionID, part *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	return s.open(bucket, key, versioned(version), true, part)
}

func (s *Store) HeadObjectVersion(bucket, key string, version gofakes3.VersionID) (*gofakes3.Object, error) {
	return s.open(bucket, key, versioned(version), false, nil)
}

// newest chooses the first record, unless it says that the object was deleted.
func newest(key string) func([]entry) (entry, error) {
	return func(all []entry) (entry, error) {
		if len(all) == 0 || all[0].File == "" {
			return entry{}, gofakes3.KeyNotFound(key)
		}
		return all[0], nil
	}
}

func versioned(version gofakes3.VersionID) func([]entry) (entry, error) {
	return func(all []entry) (entry, error) {
		for _, e := range all {
			if e.Version == string(version) {
				return e, nil
			}
		}
		return entry{}, gofakes3.ErrNoSuchVersion
	}
}

// open finds one of the records of a key, and opens its file before it may be removed.
func (s *Store) open(bucket, key string, choose func([]entry) (entry, error), withContent bool, part *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	var object *gofakes3.Object
	err := s.view(bucket, func(tx *bbolt.Tx) error {
		e, err := choose(of(tx, key))
		if err != nil {
			return err
		}
		object = &gofakes3.Object{
			Name: key, Metadata: e.Meta, Size: e.Size, Hash: e.MD5, VersionID: gofakes3.VersionID(e.Version), IsDeleteMarker: e.File == "",
			Contents: io.NopCloser(eof{}),
		}
		if !withContent || e.File == "" {
			return nil
		}
		if object.Range, err = part.Range(e.Size); err != nil {
			return err
		}
		file, err := os.Open(s.path(e.File))
		if err != nil {
			return err
		}
		object.Contents = file
		if object.Range != nil {
			object.Contents = section{io.NewSectionReader(file, object.Range.Start, object.Range.Length), file}
		}
		return nil
	})
	return object, err
}

// eof is an empty reader.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// section is a part of a file.
type section struct {
	io.Reader
	io.Closer
}

// Package objects keeps the objects of one S3 bucket in a folder, with their versions. It is
// what gofakes3, which speaks the protocol, asks for them.
package objects

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rclone/gofakes3"
	"go.etcd.io/bbolt"
)

// Store is a bucket. objects.db has the records, and the folder content their bytes.
type Store struct {
	name string
	dir  string
	db   *bbolt.DB

	mu      sync.Mutex
	uploads map[gofakes3.UploadID]*upload // in parts, that have begun
}

// record is a version of an object, or the mark of a deletion, which has no file.
type record struct {
	Version  string            `json:"version,omitempty"` // "" if it was stored without versioning
	File     string            `json:"file,omitempty"`    // in the folder content
	Size     int64             `json:"size"`
	MD5      []byte            `json:"md5,omitempty"`
	Meta     map[string]string `json:"meta,omitempty"`
	Modified time.Time         `json:"modified"`
}

// The buckets of the database: records by position, and what is known of the bucket itself.
var (
	recordsOf = []byte("records")
	aboutOf   = []byte("about")
)

// versioningKey has the versioning status of the bucket, and createdKey the time when it was
// made.
var (
	versioningKey = []byte("versioning")
	createdKey    = []byte("created")
)

// Open opens the bucket in a folder, or makes it. With versioning, what is replaced or deleted
// from now on stays as a version.
func Open(dir, name string, versioning bool) (*Store, error) {
	s := &Store{name: name, dir: dir, uploads: map[gofakes3.UploadID]*upload{}}
	if err := os.MkdirAll(s.path(""), 0o700); err != nil {
		return nil, err
	}
	var err error
	if s.db, err = bbolt.Open(filepath.Join(dir, "objects.db"), 0o600, &bbolt.Options{Timeout: time.Second}); err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	if err := errors.Join(s.prepare(versioning), s.removeUnnamed()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) prepare(versioning bool) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(recordsOf); err != nil {
			return err
		}
		about, err := tx.CreateBucketIfNotExists(aboutOf)
		if err == nil && about.Get(createdKey) == nil {
			err = about.Put(createdKey, []byte(time.Now().UTC().Format(time.RFC3339)))
		}
		if err == nil && versioning {
			err = about.Put(versioningKey, []byte(gofakes3.VersioningEnabled))
		}
		return err
	})
}

// removeUnnamed removes files that no record names: of uploads that were cut off.
func (s *Store) removeUnnamed() error {
	named := map[string]bool{}
	err := s.view(s.name, func(tx *bbolt.Tx) error {
		for _, e := range entries(tx, nil) {
			named[e.File] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	files, err := os.ReadDir(s.path(""))
	for _, file := range files {
		if !named[file.Name()] {
			err = errors.Join(err, os.Remove(s.path(file.Name())))
		}
	}
	return err
}

// Close ends the use of the folder.
func (s *Store) Close() error { return s.db.Close() }

// path is that of a file with the bytes of an object.
func (s *Store) path(file string) string { return filepath.Join(s.dir, "content", file) }

// view reads, if it is from this bucket.
func (s *Store) view(bucket string, read func(*bbolt.Tx) error) error {
	if bucket != s.name {
		return gofakes3.BucketNotFound(bucket)
	}
	return s.db.View(read)
}

// change writes, if it is to this bucket.
func (s *Store) change(bucket string, write func(*bbolt.Tx) error) error {
	if bucket != s.name {
		return gofakes3.BucketNotFound(bucket)
	}
	return s.db.Update(write)
}

// position is where a record is: the records of a key are together, the newest first.
func position(key string, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(key), 0), ^number)
}

// after is where the records of the keys begin that come after one.
func after(key string) []byte { return []byte(key + "\x01") }

// entry is a record and its place.
type entry struct {
	position []byte
	key      string
	record
}

// entries are the records from a position on.
func entries(tx *bbolt.Tx, from []byte) iter.Seq2[int, entry] {
	return func(yield func(int, entry) bool) {
		n := 0
		cursor := tx.Bucket(recordsOf).Cursor()
		for at, value := cursor.Seek(from); at != nil; at, value = cursor.Next() {
			e := entry{position: at, key: string(at[:len(at)-9])}
			if json.Unmarshal(value, &e.record) == nil && !yield(n, e) {
				return
			}
			n++
		}
	}
}

// number is the record's: a newer one has a higher one, also as text.
func (e entry) number() string {
	return fmt.Sprintf("%016x", ^binary.BigEndian.Uint64(e.position[len(e.position)-8:]))
}

// of are the records of one key, the newest first.
func of(tx *bbolt.Tx, key string) []entry {
	var all []entry
	for _, e := range entries(tx, position(key, ^uint64(0))) {
		if e.key != key {
			break
		}
		all = append(all, e)
	}
	return all
}

func (e entry) put(tx *bbolt.Tx) error {
	value, err := json.Marshal(e.record)
	if err != nil {
		return err
	}
	return tx.Bucket(recordsOf).Put(e.position, value)
}

func status(tx *bbolt.Tx) gofakes3.VersioningStatus {
	return gofakes3.VersioningStatus(tx.Bucket(aboutOf).Get(versioningKey))
}

// ListBuckets implements gofakes3.Backend, as the methods below do.
func (s *Store) ListBuckets(context.Context) ([]gofakes3.BucketInfo, error) {
	var created time.Time
	err := s.db.View(func(tx *bbolt.Tx) (err error) {
		created, err = time.Parse(time.RFC3339, string(tx.Bucket(aboutOf).Get(createdKey)))
		return err
	})
	return []gofakes3.BucketInfo{{Name: s.name, CreationDate: gofakes3.NewContentTime(created)}}, err
}

func (s *Store) BucketExists(_ context.Context, name string) (bool, error) {
	return name == s.name, nil
}

// CreateBucket does nothing for the bucket that is there, and makes no other.
func (s *Store) CreateBucket(_ context.Context, name string) error {
	if name == s.name {
		return nil
	}
	return gofakes3.ErrorMessagef(gofakes3.ErrTooManyBuckets, "there is one bucket, %s", s.name)
}

func (s *Store) DeleteBucket(_ context.Context, name string) error {
	if name != s.name {
		return gofakes3.BucketNotFound(name)
	}
	return gofakes3.ErrorMessage(gofakes3.ErrMethodNotAllowed, "the bucket stays as long as the app runs")
}

// checkKey refuses what would make the order of records another.
func checkKey(key string) error {
	if strings.ContainsRune(key, 0) {
		return gofakes3.ErrorInvalidArgument("key", key, "a key cannot have a zero byte")
	}
	return nil
}

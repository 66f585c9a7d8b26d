package objects

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/rclone/gofakes3"
)

// upload is an object that is uploaded in parts. It is lost when the store is closed: Open
// removes the files of its parts.
type upload struct {
	meta  map[string]string
	parts map[int]record // by number
}

// CreateMultipartUpload implements gofakes3.MultipartBackend, as the methods below do.
func (s *Store) CreateMultipartUpload(_ context.Context, bucket, key string, meta map[string]string) (gofakes3.UploadID, error) {
	if bucket != s.name {
		return "", gofakes3.BucketNotFound(bucket)
	}
	if err := checkKey(key); err != nil {
		return "", err
	}
	id := gofakes3.UploadID(rand.Text())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads[id] = &upload{maps.Clone(meta), map[int]record{}}
	return id, nil
}

// UploadPart stores a part of so many bytes, in place of an earlier one with its number.
func (s *Store) UploadPart(_ context.Context, _, _ string, id gofakes3.UploadID, number int, size int64, body io.Reader) (string, error) {
	part, err := s.receive(body, size)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	if u == nil {
		_ = os.Remove(s.path(part.File))
		return "", gofakes3.ErrNoSuchUpload
	}
	earlier, again := u.parts[number]
	u.parts[number] = part
	if again {
		err = os.Remove(s.path(earlier.File))
	}
	return etag(part.MD5), err
}

// CompleteMultipartUpload puts an object together. If it fails, the upload is as it was.
func (s *Store) CompleteMultipartUpload(ctx context.Context, bucket, key string, id gofakes3.UploadID, wanted *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	u := s.take(id)
	if u == nil {
		return "", "", gofakes3.ErrNoSuchUpload
	}
	parts, err := u.chosen(wanted.Parts)
	if err == nil {
		var result gofakes3.PutObjectResult
		together := &joined{store: s, parts: parts}
		result, err = s.PutObject(ctx, bucket, key, u.meta, together, -1)
		_ = together.close()
		if err == nil {
			return result.VersionID, result.ETag, s.removeParts(u)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads[id] = u
	return "", "", err
}

func (s *Store) AbortMultipartUpload(_ context.Context, _, _ string, id gofakes3.UploadID) error {
	if u := s.take(id); u != nil {
		return s.removeParts(u)
	}
	return nil
}

// take takes an upload away from others.
func (s *Store) take(id gofakes3.UploadID) *upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	delete(s.uploads, id)
	return u
}

func (s *Store) removeParts(u *upload) error {
	var err error
	for _, part := range u.parts {
		err = errors.Join(err, os.Remove(s.path(part.File)))
	}
	return err
}

// chosen are the parts that a client names, which must be those that were stored.
func (u *upload) chosen(wanted []gofakes3.CompletedPart) ([]record, error) {
	if !slices.IsSortedFunc(wanted, func(a, b gofakes3.CompletedPart) int { return a.PartNumber - b.PartNumber }) {
		return nil, gofakes3.ErrInvalidPartOrder
	}
	var all []record
	for _, one := range wanted {
		part, stored := u.parts[one.PartNumber]
		if !stored || strings.Trim(one.ETag, `"`) != strings.Trim(etag(part.MD5), `"`) {
			return nil, gofakes3.ErrorMessagef(gofakes3.ErrInvalidPart, "part %d is not the one that was stored", one.PartNumber)
		}
		all = append(all, part)
	}
	return all, nil
}

// joined reads parts one after another.
type joined struct {
	store *Store
	parts []record
	file  *os.File
}

func (j *joined) Read(p []byte) (int, error) {
	for {
		if j.file == nil {
			if len(j.parts) == 0 {
				return 0, io.EOF
			}
			var err error
			if j.file, err = os.Open(j.store.path(j.parts[0].File)); err != nil {
				return 0, err
			}
			j.parts = j.parts[1:]
		}
		n, err := j.file.Read(p)
		if err != io.EOF {
			return n, err
		}
		if err := j.close(); err != nil || n > 0 {
			return n, err
		}
	}
}

func (j *joined) close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

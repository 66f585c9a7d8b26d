package serve

import (
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"sync/atomic"
)

// quota counts the bytes that the writable folder holds.
type quota struct{ used atomic.Int64 }

// take reserves bytes. If they exceed limit, it returns an error for the client.
func (q *quota) take(bytes, limit int64) error {
	if used := q.used.Add(bytes); used > limit {
		q.used.Add(-bytes)
		return errorf(http.StatusRequestEntityTooLarge, "SIZE_INVALID", "this push would exceed the limit of %d bytes: raise it with serve --limit", limit)
	}
	return nil
}

// quotaWriter reserves the bytes of each write before it writes.
type quotaWriter struct {
	io.Writer
	quota   *quota
	limit   int64
	written int64
}

func (w *quotaWriter) Write(p []byte) (int, error) {
	if err := w.quota.take(int64(len(p)), w.limit); err != nil {
		return 0, err
	}
	w.written += int64(len(p))
	return w.Writer.Write(p)
}

// bytesIn returns the size of all files in a folder.
func bytesIn(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}

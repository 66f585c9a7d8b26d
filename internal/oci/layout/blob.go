package layout

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/atomicfile"
)

// WriteBlob stores what fill writes as a blob and returns its sha256 digest and its size
// in bytes. The blob appears when it is complete: after an error, and when ctx ends,
// nothing is left.
func (l *Layout) WriteBlob(ctx context.Context, fill func(io.Writer) error) (digest v1.Hash, size int64, err error) {
	return l.writeBlob(ctx, v1.Hash{Algorithm: "sha256"}, fill)
}

// AddBlob stores a blob with a known digest. Content with another digest is an error.
func (l *Layout) AddBlob(ctx context.Context, digest v1.Hash, content io.Reader) error {
	_, _, err := l.writeBlob(ctx, digest, func(w io.Writer) error {
		_, err := io.Copy(w, content)
		return err
	})
	return err
}

// blobBuffers are for one blob after the other.
var blobBuffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 256<<10) }}

// writeBlob streams a blob into a temporary file beside the others and renames it. If
// want has no Hex, any digest will do.
func (l *Layout) writeBlob(ctx context.Context, want v1.Hash, fill func(io.Writer) error) (digest v1.Hash, size int64, err error) {
	if err := l.writable(); err != nil {
		return digest, 0, err
	}
	sum, err := v1.Hasher(want.Algorithm)
	if err != nil {
		return digest, 0, err
	}
	dir := filepath.Join(l.dir, blobsDir, want.Algorithm)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return digest, 0, err
	}
	f, err := atomicfile.Create(dir, 0o666)
	if err != nil {
		return digest, 0, fmt.Errorf("writing a blob: %w", err)
	}
	defer f.Discard()
	count := &counter{ctx: ctx, w: io.MultiWriter(sum, f)}
	b := blobBuffers.Get().(*bufio.Writer)
	b.Reset(count)
	if err := fill(b); err != nil {
		return digest, 0, err
	}
	if err := b.Flush(); err != nil {
		return digest, 0, err
	}
	blobBuffers.Put(b) // not after an error: a compressor may still write to it
	digest = v1.Hash{Algorithm: want.Algorithm, Hex: hex.EncodeToString(sum.Sum(nil))}
	if want.Hex != "" && digest != want {
		return digest, 0, fmt.Errorf("%s: its content has the digest %s", want, digest)
	}
	return digest, count.n, f.Replace(l.BlobPath(digest))
}

// MoveBlob renames a file, which must be on the same file system, to the blob of a
// digest. It does not read the file: the caller checks the digest.
func (l *Layout) MoveBlob(file string, digest v1.Hash) error {
	if err := l.writable(); err != nil {
		return err
	}
	name := l.BlobPath(digest)
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	return os.Rename(file, name)
}

// WriteJSON encodes a document, stores it as a blob and describes it.
func (l *Layout) WriteJSON(ctx context.Context, mediaType types.MediaType, document any) (v1.Descriptor, error) {
	content, err := encode(document)
	if err != nil {
		return v1.Descriptor{}, err
	}
	digest, size, err := l.WriteBlob(ctx, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	return v1.Descriptor{MediaType: mediaType, Size: size, Digest: digest}, err
}

// ReadBlob reads a manifest, an index or a config of at most MaxDocument bytes, and
// checks its digest.
func (l *Layout) ReadBlob(digest v1.Hash) ([]byte, error) {
	return l.Source(v1.Descriptor{Digest: digest}).Read(context.Background())
}

// ReadJSON reads a manifest, an index or a config as ReadBlob does, and decodes it.
func (l *Layout) ReadJSON(d v1.Descriptor, into any) error {
	content, err := l.ReadBlob(d.Digest)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("reading %s: %w", d.Digest, err)
	}
	return nil
}

// encode returns JSON without spaces, with sorted map keys and without escapes for HTML.
// Digests of images depend on these bytes.
func encode(document any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// OpenBlob opens a blob and describes its file. It follows no link. If there is no
// regular file, the error is fs.ErrNotExist.
func (l *Layout) OpenBlob(digest v1.Hash) (*os.File, fs.FileInfo, error) {
	f, info, err := l.open(blobName(digest))
	if wrong := (*fs.PathError)(nil); errors.As(err, &wrong) {
		wrong.Path = l.BlobPath(digest)
	}
	return f, info, err
}

// HasBlob reports whether there is a blob of this size. It does not compute the digest:
// that would read all layers.
func (l *Layout) HasBlob(digest v1.Hash, size int64) bool {
	folders := blobFolders{dir: l.dir}
	defer folders.close()
	return folders.has(digest, size)
}

// blobFolders finds many blobs: it opens each folder once.
type blobFolders struct {
	dir  string
	open map[string]*os.Root // by algorithm; nil if there is none
}

func (f *blobFolders) has(digest v1.Hash, size int64) bool {
	folder, known := f.open[digest.Algorithm]
	if !known {
		if layout, err := os.OpenRoot(f.dir); err == nil {
			folder, _ = layout.OpenRoot(path.Join(blobsDir, digest.Algorithm))
			layout.Close()
		}
		if f.open == nil {
			f.open = map[string]*os.Root{}
		}
		f.open[digest.Algorithm] = folder
	}
	if folder == nil {
		return false
	}
	info, err := regular(folder, digest.Hex)
	return err == nil && info.Size() == size
}

func (f *blobFolders) close() {
	for _, folder := range f.open {
		if folder != nil {
			folder.Close()
		}
	}
}

// BlobPath returns the path of a blob, for other programs. It need not exist. To read a
// blob use OpenBlob.
func (l *Layout) BlobPath(digest v1.Hash) string {
	return filepath.Join(l.dir, blobName(digest))
}

func blobName(digest v1.Hash) string {
	return path.Join(blobsDir, digest.Algorithm, digest.Hex)
}

// counter counts the bytes that it passes on, and fails once its context has ended.
type counter struct {
	ctx context.Context
	w   io.Writer
	n   int64
}

func (c *counter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

package image

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// tempPrefix marks files that a killed run leaves behind; see Prune.
const tempPrefix = ".tmp-"

// stored is what is known of a layer once it was written.
type stored struct {
	Digest v1.Hash `json:"digest"` // of the blob
	DiffID v1.Hash `json:"diffID"` // of the tar inside
	Size   int64   `json:"size"`   // bytes of the blob
}

// writeLayer runs fill into the codec and stores the result as a blob. Digest,
// diffID and size come from the one pass. Where the caller wants a certain
// diffID, another one is an error. On an error or a cancelled context nothing
// is left behind.
func (l *Layout) writeLayer(ctx context.Context, codec Codec, want v1.Hash, fill func(io.Writer) error) (stored, error) {
	diff := sha256.New()
	digest, size, err := l.writeBlob(ctx, func(w io.Writer) error {
		z, err := codec.writer(w)
		if err != nil {
			return err
		}
		if err := fill(io.MultiWriter(diff, z)); err != nil {
			z.Close()
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		if got := hashOf(diff); want != (v1.Hash{}) && got != want {
			return fmt.Errorf("its content has the digest %s, the config says %s", got, want)
		}
		return nil
	})
	return stored{Digest: digest, DiffID: hashOf(diff), Size: size}, err
}

// writeBlob streams a blob into a temporary file beside the others and renames
// it to its digest when it is whole.
func (l *Layout) writeBlob(ctx context.Context, fill func(io.Writer) error) (digest v1.Hash, size int64, err error) {
	if err := l.writable(); err != nil {
		return v1.Hash{}, 0, err
	}
	f, err := createTemp(filepath.Join(l.dir, "blobs", "sha256"))
	if err != nil {
		return v1.Hash{}, 0, fmt.Errorf("writing a blob: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	sum := sha256.New()
	count := &counter{ctx: ctx, w: io.MultiWriter(sum, f)}
	b := bufio.NewWriterSize(count, 256<<10)
	if err := fill(b); err != nil {
		return v1.Hash{}, 0, err
	}
	if err := b.Flush(); err != nil {
		return v1.Hash{}, 0, err
	}
	if err := f.Close(); err != nil {
		return v1.Hash{}, 0, err
	}
	digest = hashOf(sum)
	return digest, count.n, os.Rename(f.Name(), l.blobPath(digest))
}

// writeJSON stores a small document and describes it.
func (l *Layout) writeJSON(ctx context.Context, mediaType types.MediaType, document any) (v1.Descriptor, error) {
	content, err := encode(document)
	if err != nil {
		return v1.Descriptor{}, err
	}
	digest, size, err := l.writeBlob(ctx, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	return v1.Descriptor{MediaType: mediaType, Size: size, Digest: digest}, err
}

// readJSON decodes a small document of the layout.
func (l *Layout) readJSON(d v1.Descriptor, into any) error {
	content, err := os.ReadFile(l.blobPath(d.Digest))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("reading %s: %w", d.Digest, err)
	}
	return nil
}

// encode is JSON without spaces, with sorted map keys, and without the escapes
// for HTML. Its bytes are pinned by golden digests.
func encode(document any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (l *Layout) blobPath(digest v1.Hash) string {
	return filepath.Join(l.dir, "blobs", digest.Algorithm, digest.Hex)
}

// hasBlob compares the size only; hashing would cost a read of all layers.
func (l *Layout) hasBlob(digest v1.Hash, size int64) bool {
	info, err := os.Stat(l.blobPath(digest))
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

// counter counts what it passes on and stops once its context is done.
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

func hashOf(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// createTemp makes a new file that can be renamed into place: unlike
// os.CreateTemp's its mode is what the umask asks for.
func createTemp(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, tempPrefix+rand.Text()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
}

// replaceFile writes a small file beside its name and renames it into place.
func replaceFile(name string, content []byte) error {
	f, err := createTemp(filepath.Dir(name))
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

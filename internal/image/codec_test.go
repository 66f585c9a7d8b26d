package image

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// The bytes do not depend on the number of workers or on how the input is cut.
func TestCodecDeterministic(t *testing.T) {
	content := make([]byte, 3<<20)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range content {
		content[i] = byte(r.NormFloat64() * 8)
	}
	for _, codec := range []Codec{Gzip, Zstd} {
		var want []byte
		for _, workers := range []int{1, 2, 4} {
			old := runtime.GOMAXPROCS(workers)
			var b bytes.Buffer
			z, err := codec.writer(&b)
			check(t, err)
			for rest := content; len(rest) > 0; {
				n := min(len(rest), 1+r.IntN(200_000))
				_, err := z.Write(rest[:n])
				check(t, err)
				rest = rest[n:]
			}
			check(t, z.Close())
			runtime.GOMAXPROCS(old)
			if want == nil {
				want = b.Bytes()
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("%s: other bytes with %d workers", codec, workers)
			}
		}
		back, err := decompress(bytes.NewReader(want))
		check(t, err)
		if got, err := io.ReadAll(back); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: the content does not come back: %v", codec, err)
		}
		check(t, back.Close())
	}
}

// A compressor that was used before, even twice closed or with an error, gives the same bytes.
func TestReusedCompressorsGiveTheSameBytes(t *testing.T) {
	random := make([]byte, 2<<20)
	rand.NewChaCha8([32]byte{1}).Read(random)
	compress := func(codec Codec, content []byte) []byte {
		var b bytes.Buffer
		z, err := codec.writer(&b)
		check(t, err)
		_, err = z.Write(content)
		check(t, err)
		check(t, z.Close())
		check(t, z.Close())
		return b.Bytes()
	}
	for _, codec := range []Codec{Gzip, Zstd} {
		gzips, zstds = sync.Pool{}, sync.Pool{}
		text := bytes.Repeat([]byte("the same text, "), 100_000)
		want := compress(codec, text)
		compress(codec, random)
		broken, err := codec.writer(brokenWriter{})
		check(t, err)
		_, _ = broken.Write(random)
		if broken.Close() == nil {
			t.Errorf("%s: no error of the writer", codec)
		}
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if !bytes.Equal(compress(codec, text), want) {
					t.Errorf("%s: other bytes", codec)
				}
			})
		}
		group.Wait()
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestDecompressPlain(t *testing.T) {
	for _, content := range []string{"", "a", "plain tar"} {
		r, err := decompress(bytes.NewReader([]byte(content)))
		check(t, err)
		if got, err := io.ReadAll(r); err != nil || string(got) != content {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// A few bytes that ask for 512 MiB of memory.
func TestDecompressWindow(t *testing.T) {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 19 << 3, 9, 0, 0, 'x'}
	r, err := decompress(bytes.NewReader(frame))
	check(t, err)
	defer r.Close()
	if _, err := io.ReadAll(r); !errors.Is(err, zstd.ErrWindowSizeExceeded) {
		t.Errorf("got %v", err)
	}
}

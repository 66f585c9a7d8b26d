// Package getter stands in for github.com/hashicorp/go-getter, with which syft
// downloads what is named by a URL. libre only gives it folders. The real one brings
// the clients of three clouds: a third of what libre-files was made of, and nothing
// that a program which reads strangers' files should have in it. It has the names
// that syft's internal/file uses, and refuses to download.
package getter

import (
	"errors"
	"io"
	"net/http"
)

// ErrNoDownloads is what every download ends with.
var ErrNoDownloads = errors.New("libre-files downloads nothing")

// Client would download Src to Dst.
type Client struct {
	Src, Dst string
	Dir      bool
	Getters  map[string]Getter
	Options  []ClientOption
}

// Get refuses.
func (*Client) Get() error { return ErrNoDownloads }

// A Getter would download by one protocol.
type Getter any

type (
	HttpGetter struct {
		Client *http.Client
		Header http.Header
	}
	FileGetter struct{}
	GitGetter  struct{}
	GCSGetter  struct{}
	HgGetter   struct{}
	S3Getter   struct{}
)

// ClientOption would set something of a client.
type ClientOption func(*Client) error

// ProgressTracker would be told how far a download is.
type ProgressTracker interface {
	TrackProgress(src string, currentSize, totalSize int64, stream io.ReadCloser) io.ReadCloser
}

// WithProgress sets nothing: there is no progress.
func WithProgress(ProgressTracker) func(*Client) error { return func(*Client) error { return nil } }

// A Decompressor would unpack what was downloaded.
type Decompressor any

// Decompressors are none.
var Decompressors = map[string]Decompressor{}

// LimitedDecompressors are none.
func LimitedDecompressors(int, int64) map[string]Decompressor { return Decompressors }

// WithDecompressors sets nothing.
func WithDecompressors(map[string]Decompressor) ClientOption {
	return func(*Client) error { return nil }
}

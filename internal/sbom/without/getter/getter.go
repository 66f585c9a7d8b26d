// Package getter replaces github.com/hashicorp/go-getter, with which syft downloads URLs.
// libre gives syft folders only. The real package has the clients of three clouds, which
// were a third of libre-inspect and do not belong in a program that reads untrusted files.
// This package has the names that syft's internal/file needs; every download fails.
package getter

import (
	"errors"
	"io"
	"net/http"
)

// ErrNoDownloads is the error of every download.
var ErrNoDownloads = errors.New("libre-inspect downloads nothing")

// Client would download Src to Dst.
type Client struct {
	Src, Dst string
	Dir      bool
	Getters  map[string]Getter
	Options  []ClientOption
}

// Get fails.
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

// ClientOption would configure a client.
type ClientOption func(*Client) error

// ProgressTracker would receive the progress of a download.
type ProgressTracker interface {
	TrackProgress(src string, currentSize, totalSize int64, stream io.ReadCloser) io.ReadCloser
}

// WithProgress does nothing.
func WithProgress(ProgressTracker) func(*Client) error { return func(*Client) error { return nil } }

// A Decompressor would unpack a download.
type Decompressor any

// Decompressors is empty.
var Decompressors = map[string]Decompressor{}

// LimitedDecompressors returns no decompressors.
func LimitedDecompressors(int, int64) map[string]Decompressor { return Decompressors }

// WithDecompressors does nothing.
func WithDecompressors(map[string]Decompressor) ClientOption {
	return func(*Client) error { return nil }
}

// Package client stands in for github.com/containerd/containerd/v2/client, by which
// stereoscope, a part of syft, asks a daemon for images. libre gives it folders and has
// no business with daemons: the real one is a tenth of what libre-inspect would be made
// of. This one has the names that stereoscope uses, and refuses to connect.
package client

import (
	"context"
	"errors"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/core/remotes/docker"
)

// ErrNoDaemon is what every call ends with.
var ErrNoDaemon = errors.New("libre-inspect asks no daemon")

// Client would be connected to a daemon.
type Client struct{}

// New refuses.
func New(string, ...any) (*Client, error) { return nil, ErrNoDaemon }

func (*Client) Close() error                                              { return ErrNoDaemon }
func (*Client) ContentStore() content.Store                               { return nil }
func (*Client) ImageService() images.Store                                { return nil }
func (*Client) GetImage(context.Context, string) (Image, error)           { return nil, ErrNoDaemon }
func (*Client) Pull(context.Context, string, ...RemoteOpt) (Image, error) { return nil, ErrNoDaemon }
func (*Client) Export(context.Context, io.Writer, ...archive.ExportOpt) error {
	return ErrNoDaemon
}

// Image would be one of the daemon's.
type Image interface {
	Name() string
	Target() ocispec.Descriptor
	Metadata() images.Image
	Size(context.Context) (int64, error)
}

// RemoteOpt would be an option of pulling.
type RemoteOpt func()

func WithPlatform(string) RemoteOpt             { return nil }
func WithImageHandler(images.Handler) RemoteOpt { return nil }
func WithResolver(docker.Resolver) RemoteOpt    { return nil }

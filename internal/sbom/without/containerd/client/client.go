// Package client replaces github.com/containerd/containerd/v2/client, with which stereoscope, a
// part of syft, gets images from a daemon. libre gives it folders only, and the real package
// would be a tenth of libre-inspect. This package has the names that stereoscope needs; every
// connection fails.
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

// ErrNoDaemon is the error of every call.
var ErrNoDaemon = errors.New("libre-inspect asks no daemon")

// Client would be a connection to a daemon.
type Client struct{}

// New fails.
func New(string, ...any) (*Client, error) { return nil, ErrNoDaemon }

func (*Client) Close() error                                              { return ErrNoDaemon }
func (*Client) ContentStore() content.Store                               { return nil }
func (*Client) ImageService() images.Store                                { return nil }
func (*Client) GetImage(context.Context, string) (Image, error)           { return nil, ErrNoDaemon }
func (*Client) Pull(context.Context, string, ...RemoteOpt) (Image, error) { return nil, ErrNoDaemon }
func (*Client) Export(context.Context, io.Writer, ...archive.ExportOpt) error {
	return ErrNoDaemon
}

// Image would be an image of the daemon.
type Image interface {
	Name() string
	Target() ocispec.Descriptor
	Metadata() images.Image
	Size(context.Context) (int64, error)
}

// RemoteOpt would be an option for a pull.
type RemoteOpt func()

func WithPlatform(string) RemoteOpt             { return nil }
func WithImageHandler(images.Handler) RemoteOpt { return nil }
func WithResolver(docker.Resolver) RemoteOpt    { return nil }

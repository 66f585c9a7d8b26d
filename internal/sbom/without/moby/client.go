// Package client replaces github.com/moby/moby/client, with which stereoscope, a part of
// syft, gets images from docker and podman. libre gives it folders only. This package has
// the names that stereoscope needs; every connection fails.
package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrNoDaemon is the error of every call.
var ErrNoDaemon = errors.New("libre-inspect asks no daemon")

// Opt would configure a client.
type Opt func(*Client) error

// FromEnv would read DOCKER_HOST.
func FromEnv(*Client) error { return nil }

func WithHost(string) Opt             { return nil }
func WithHTTPClient(*http.Client) Opt { return nil }
func WithDialContext(func(ctx context.Context, network, address string) (net.Conn, error)) Opt {
	return nil
}

// APIClient would be a connection.
type APIClient interface {
	Close() error
	Ping(context.Context, PingOptions) (PingResult, error)
	ImageInspect(context.Context, string, ...ImageInspectOption) (ImageInspectResult, error)
	ImagePull(context.Context, string, ImagePullOptions) (io.ReadCloser, error)
	ImageSave(context.Context, []string, ...ImageSaveOption) (io.ReadCloser, error)
}

// Client would be a connection to a daemon.
type Client struct{ APIClient }

// New fails.
func New(...Opt) (*Client, error) { return nil, ErrNoDaemon }

type (
	PingOptions struct{}
	PingResult  struct{ APIVersion string }

	ImageInspectOption any
	ImageInspectResult struct {
		ID, Os, Architecture  string
		Size                  int64
		RepoTags, RepoDigests []string
	}

	ImagePullOptions struct {
		Platforms    []ocispec.Platform
		RegistryAuth string
	}

	ImageSaveOption any
)

func ImageInspectWithPlatform(*ocispec.Platform) ImageInspectOption { return nil }
func ImageSaveWithPlatforms(...ocispec.Platform) ImageSaveOption    { return nil }

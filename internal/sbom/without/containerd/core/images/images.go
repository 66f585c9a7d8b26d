// Package images has the names for images that package client needs.
package images

import (
	"context"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Docker's media types: https://distribution.github.io/distribution/spec/manifest-v2-2/
const (
	MediaTypeDockerSchema1Manifest     = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	MediaTypeDockerSchema2Config       = "application/vnd.docker.container.image.v1+json"
	MediaTypeDockerSchema2Manifest     = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerSchema2ManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// Image would be an image of the daemon.
type Image struct{ Target ocispec.Descriptor }

// Store would be the daemon's store.
type Store any

// Handler would receive the parts of a pull.
type Handler any

type HandlerFunc func(context.Context, ocispec.Descriptor) ([]ocispec.Descriptor, error)

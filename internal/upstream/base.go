package upstream

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/libresh/libre/internal/fault"
)

// BaseDigest is the digest that an image's tag, such as "python:3.13-alpine",
// points to: of the index, where there is one. It costs no pull.
func (c *Client) BaseDigest(ctx context.Context, reference string) (string, error) {
	parsed, err := name.ParseReference(reference)
	if err != nil {
		return "", err
	}
	descriptor, err := remote.Head(parsed, append(c.registryOptions(), remote.WithContext(ctx))...)
	if err != nil {
		return "", explainRegistry("looking at "+parsed.Name(), err)
	}
	return descriptor.Digest.String(), nil
}

// registryOptions leave out the tokens of forges and the cache; what is to be tried
// again, the transport does.
func (c *Client) registryOptions() []remote.Option {
	return []remote.Option{
		remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithTransport(c.transport),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithRetryStatusCodes(),
		remote.WithUserAgent(userAgent),
	}
}

func explainRegistry(doing string, err error) error {
	var failure *transport.Error
	if errors.As(err, &failure) {
		switch failure.StatusCode {
		case http.StatusNotFound:
			err = ErrNotFound
		case http.StatusUnauthorized, http.StatusForbidden:
			err = &fault.Fault{Kind: fault.Credentials, Err: err}
		}
	}
	return explain(doing, err)
}

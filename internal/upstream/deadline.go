package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// DefaultDeadline is enough for the largest archives over slow connections.
const DefaultDeadline = 30 * time.Minute

// deadline limits the time of a request with its whole response. This includes waiting, all
// attempts, and a slow body.
type deadline struct {
	inner http.RoundTripper
	limit time.Duration
}

func (d deadline) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := bounded(request.Context(), d.limit)
	response, err := d.inner.RoundTrip(request.WithContext(ctx))
	if err != nil {
		err = cause(ctx, err)
		cancel()
		return nil, err
	}
	response.Body = &boundedBody{response.Body, ctx, cancel}
	return response, nil
}

// bounded returns a context with a time limit, and the limit as its cause.
func bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("it takes longer than %s: raise limits.answer in libre.yaml", limit))
}

// cause returns the time limit's error if the time limit made something fail.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

type boundedBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelFunc
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		return n, err
	}
	return n, cause(b.ctx, err)
}

func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

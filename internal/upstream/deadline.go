package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// DefaultDeadline is long enough for the largest archives on slow lines.
const DefaultDeadline = 30 * time.Minute

// deadline bounds a question and its whole answer: waiting, every attempt, and a body
// that comes drop by drop.
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

// bounded is a context that ends at a limit, which its cause names.
func bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("it takes longer than the limit of %s: limits.answer in libre.yaml sets it", limit))
}

// cause is the limit's error where that is why something failed.
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

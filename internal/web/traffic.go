package web

import (
	"io"
	"net/http"
	"sync/atomic"
)

// Traffic counts the bytes of the bodies of requests and answers. It is safe for concurrent
// use.
type Traffic struct{ sent, received atomic.Int64 }

// Sent returns the number of bytes that were sent.
func (t *Traffic) Sent() int64 { return t.sent.Load() }

// Received returns the number of bytes that were received.
func (t *Traffic) Received() int64 { return t.received.Load() }

// Receive adds bytes that another program received.
func (t *Traffic) Receive(bytes int64) { t.received.Add(bytes) }

// request counts the bytes of a request's body as they are sent.
func (t *Traffic) request(request *http.Request) *http.Request {
	if t == nil || request.Body == nil || request.Body == http.NoBody {
		return request
	}
	counted := request.WithContext(request.Context())
	counted.Body = &countedBody{request.Body, &t.sent}
	if request.GetBody != nil {
		counted.GetBody = func() (io.ReadCloser, error) {
			body, err := request.GetBody()
			if err != nil {
				return nil, err
			}
			return &countedBody{body, &t.sent}, nil
		}
	}
	return counted
}

// response counts the bytes of an answer's body as they are read.
func (t *Traffic) response(response *http.Response) {
	if t != nil && response.Body != http.NoBody {
		response.Body = &countedBody{response.Body, &t.received}
	}
}

type countedBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}

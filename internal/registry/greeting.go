package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/libresh/libre/internal/web"
)

// Warm connects to the registry in advance, so that the first request does not wait for
// it. That request reports any error.
func (c *Client) Warm(ctx context.Context) {
	if repository, err := name.NewRepository(c.prefix+"/x", c.names...); err == nil {
		_, _ = transport.Ping(ctx, repository.Registry, c.transport)
	}
}

// greeter sends GET /v2/ once to each host: every repository's login begins with it. It also
// finds out once whether a host on the loopback address uses HTTP or HTTPS.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#determining-support
type greeter struct {
	inner http.RoundTripper
	hosts sync.Map // host → *greetings
}

// greetings are a host's answers to GET /v2/, by scheme.
type greetings struct {
	mu      sync.Mutex // held while one goroutine asks for all
	answers map[string]*greeting
	failed  map[string]error
	at      time.Time // of the last failure
}

// failureStands is how long libre does not ask a host again after it did not answer: each
// repository asks, and waiting for each would take too long.
const failureStands = time.Minute

type greeting struct {
	status int
	header http.Header
	body   []byte
}

func (g *greeter) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet || request.URL.Path != "/v2/" || request.Header.Get("Authorization") != "" {
		return g.inner.RoundTrip(request)
	}
	known, _ := g.hosts.LoadOrStore(request.URL.Host, &greetings{answers: map[string]*greeting{}, failed: map[string]error{}})
	host := known.(*greetings)
	host.mu.Lock()
	defer host.mu.Unlock()
	scheme := request.URL.Scheme
	if answer := host.answers[scheme]; answer != nil {
		return answer.response(request), nil
	}
	if err := host.failed[scheme]; err != nil && (len(host.answers) > 0 || time.Since(host.at) < failureStands) {
		return nil, err // the host may use the other scheme
	}
	if err := host.failed["https"]; errors.As(err, new(*web.CertificateError)) {
		return nil, err // it has TLS: plain HTTP would only hide the error
	}
	response, err := g.inner.RoundTrip(request)
	if err != nil {
		err = host.plain(scheme, err)
		if request.Context().Err() == nil {
			host.failed[scheme], host.at = err, time.Now()
		}
		return nil, err
	}
	absent := response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusMethodNotAllowed
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusUnauthorized && !absent {
		return response, nil // the next answer may differ
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, mostSmall))
	response.Body.Close()
	if err != nil {
		return nil, err
	}
	answer := &greeting{response.StatusCode, response.Header, body}
	if absent {
		if !isRegistry(body) {
			return nil, host.plain(scheme, fmt.Errorf("%s is not a registry: it answers %s to GET /v2/", request.URL.Host, response.Status))
		}
		answer.status = http.StatusOK
	}
	host.answers[scheme] = answer
	return answer.response(request), nil
}

// plainError is the error of plain HTTP to a host that does not use TLS.
type plainError struct{ error }

func (e *plainError) Unwrap() error { return e.error }

// plain marks an error of HTTP if the host does not use TLS.
func (g *greetings) plain(scheme string, err error) error {
	https := g.failed["https"]
	if scheme == "http" && (errors.Is(https, http.ErrSchemeMismatch) || errors.As(https, new(tls.RecordHeaderError))) {
		return &plainError{err}
	}
	return err
}

// isRegistry reports whether a refusal of GET /v2/ comes from a registry, and not from another
// server. Such a registry needs no login.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
func isRegistry(refusal []byte) bool {
	var answer struct {
		Errors []transport.Diagnostic `json:"errors"`
	}
	return json.Unmarshal(refusal, &answer) == nil && len(answer.Errors) > 0
}

func (a *greeting) response(request *http.Request) *http.Response {
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header.Clone(), Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: request,
	}
}

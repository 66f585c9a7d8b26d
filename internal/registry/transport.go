package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/web"
)

const (
	// longestAnswer is the timeout for the answer to a write. Some registries move a
	// whole blob to another store before they answer.
	longestAnswer = 5 * time.Minute
	// longestLook is the timeout for the answer to a read.
	longestLook = 30 * time.Second
)

// Options configure the connection to registries.
type Options struct {
	Insecure    bool             // plain HTTP and any certificate, also beyond the loopback address
	Authorities *web.Authorities // trusted in addition to the system's and those of certs.d; nil: none
	Traffic     *web.Traffic     // counts what is sent and received; may be nil
	Notes       func(string)     // gets warnings, such as of a credential helper that fails; nil drops them
}

// newTransport returns the transport of all requests.
func newTransport(options Options) http.RoundTripper {
	var transport http.RoundTripper = web.NewTransport(web.Options{
		Insecure: options.Insecure, Answer: longestAnswer, Read: longestLook, CertsDirs: true, Authorities: options.Authorities,
		Traffic: options.Traffic,
	})
	if !options.Insecure {
		transport = &encrypted{transport}
	}
	return &greeter{inner: &realms{inner: transport}}
}

// encrypted refuses plain HTTP except to the loopback address. The library would use it
// for private addresses, and for names that end in .local or .localhost: anyone on the
// path, or who answers for the name, would get the password.
type encrypted struct{ inner http.RoundTripper }

func (e *encrypted) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme == "http" && !web.IsLoopback(request.URL.Host) {
		return nil, &fault.Fault{
			Err: fmt.Errorf("%s needs plain HTTP, which is allowed on the loopback address only", request.URL.Host),
			Fix: "--insecure, if the network is trusted",
		}
	}
	return e.inner.RoundTrip(request)
}

// temporary reports whether a request that failed may succeed later. The error code in
// the answer does not matter: registries use codes differently for their own faults. The
// exception is a wrong digest: what arrived is not what was sent. docker-registry 2.8 also
// answers so when two clients write the same manifest at once. Reads are not repeated
// here, since the transport repeats them.
func temporary(err error) bool {
	var failure *transport.Error
	if !errors.As(err, &failure) {
		return web.Temporary(err)
	}
	read := failure.Request != nil && (failure.Request.Method == http.MethodGet || failure.Request.Method == http.MethodHead)
	return !read && slices.Contains(web.RetriedCodes, failure.StatusCode) ||
		slices.ContainsFunc(failure.Errors, func(d transport.Diagnostic) bool { return d.Code == transport.DigestInvalidErrorCode })
}

// hasStatus reports whether an error is an answer with an HTTP status.
func hasStatus(err error, status int) bool {
	var failure *transport.Error
	return errors.As(err, &failure) && failure.StatusCode == status
}

// mostSmall is the largest size, in bytes, of a document that is held in memory.
const mostSmall = 4 << 20

// readSmall reads a document of at most most bytes, and checks its digest.
func readSmall(content io.Reader, digest v1.Hash, most int) ([]byte, error) {
	read, err := io.ReadAll(io.LimitReader(content, int64(most)+1))
	if err != nil {
		return nil, Explain("reading "+digest.String(), err)
	}
	if len(read) > most {
		return nil, fmt.Errorf("reading %s: more than %d bytes", digest, most)
	}
	if got, _, err := v1.SHA256(bytes.NewReader(read)); err != nil || got != digest {
		return nil, fmt.Errorf("reading %s: its content has digest %s", digest, got)
	}
	return read, nil
}

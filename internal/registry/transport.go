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
	// longestAnswer is how long a registry may think about what it is sent. Some move a
	// whole blob to another place before they say that they have it.
	longestAnswer = 5 * time.Minute
	// longestLook is how long it may look for what it is asked for.
	longestLook = 30 * time.Second
)

// Options are how a registry is reached.
type Options struct {
	Insecure    bool             // HTTP and any certificate, not only on the loopback address
	Authorities *web.Authorities // trusted beside the system's and those of certs.d; nil is none
	Notes       func(string)     // gets what does not end the run, such as a credential helper that fails; nil drops it
}

// newTransport is HTTP as all requests go.
func newTransport(options Options) http.RoundTripper {
	var transport http.RoundTripper = web.NewTransport(web.Options{
		Insecure: options.Insecure, Answer: longestAnswer, Read: longestLook, CertsDirs: true, Authorities: options.Authorities,
	})
	if !options.Insecure {
		transport = &encrypted{transport}
	}
	return &greeter{inner: &realms{inner: transport}}
}

// encrypted sends nothing by plain HTTP but to this machine's loopback. The library would
// to private addresses, and to names that end in .local or .localhost: whoever stands
// between, or answers for the name, gets the password.
type encrypted struct{ inner http.RoundTripper }

func (e *encrypted) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme == "http" && !web.IsLoopback(request.URL.Host) {
		return nil, &fault.Fault{
			Err: fmt.Errorf("%s would be spoken to by plain HTTP, which is for this machine's loopback alone", request.URL.Host),
			Fix: "--insecure, where nobody stands between",
		}
	}
	return e.inner.RoundTrip(request)
}

// temporary says whether what failed may succeed a little later. What a registry
// says in the answer does not matter: some call an error of their own unknown,
// others the client's mistake. Only a wrong digest, which we computed, says that
// something else arrived than was sent. docker-registry 2.8 says so as well where
// two clients write the same manifest at once. What only reads was tried again by the
// transport.
func temporary(err error) bool {
	var failure *transport.Error
	if !errors.As(err, &failure) {
		return web.Temporary(err)
	}
	read := failure.Request != nil && (failure.Request.Method == http.MethodGet || failure.Request.Method == http.MethodHead)
	return !read && slices.Contains(web.RetriedCodes, failure.StatusCode) ||
		slices.ContainsFunc(failure.Errors, func(d transport.Diagnostic) bool { return d.Code == transport.DigestInvalidErrorCode })
}

// hasStatus tells a registry's refusal by its HTTP status.
func hasStatus(err error, status int) bool {
	var failure *transport.Error
	return errors.As(err, &failure) && failure.StatusCode == status
}

// mostSmall is the size of the largest document that is held in memory.
const mostSmall = 4 << 20

// readSmall reads a document of at most so many bytes, and checks its digest.
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

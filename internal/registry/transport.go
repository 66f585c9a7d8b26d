package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Answers after which the same request may go through. 425 and 429, which say
// when, are patient's.
var (
	retriedCodes = []int{http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	backoff = remote.Backoff{Duration: 200 * time.Millisecond, Factor: 3, Jitter: 0.3, Steps: 5}
)

// longestAnswer is how long a registry may think. Some move a whole blob to
// another place before they say that they have it.
const longestAnswer = 5 * time.Minute

// idleConnections is how many connections are kept for the next requests: releases
// are looked at by the dozen, and where HTTP/2 is not spoken each request that is on
// its way takes one.
const idleConnections = 128

// newTransport is HTTP as all requests go; insecure takes any certificate.
func newTransport(insecure bool) http.RoundTripper {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = longestAnswer
	base.MaxIdleConns, base.MaxIdleConnsPerHost = idleConnections, idleConnections
	if insecure {
		base.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // --insecure was asked for
	}
	return &greeter{inner: &patient{inner: base}}
}

// retrying tries the requests of a login again.
func retrying(inner http.RoundTripper) http.RoundTripper {
	return transport.NewRetry(inner, transport.WithRetryStatusCodes(retriedCodes...),
		transport.WithRetryPredicate(temporary), transport.WithRetryBackoff(backoff))
}

// temporary says whether what failed may succeed a little later. What a registry
// says in the answer does not matter: some call an error of their own unknown,
// others the client's mistake. Only a wrong digest, which we computed, says that
// something else arrived than was sent. docker-registry 2.8 says so as well where
// two clients write the same manifest at once.
func temporary(err error) bool {
	var failure *transport.Error
	if errors.As(err, &failure) {
		return slices.Contains(retriedCodes, failure.StatusCode) ||
			slices.ContainsFunc(failure.Errors, func(d transport.Diagnostic) bool { return d.Code == transport.DigestInvalidErrorCode })
	}
	var network net.Error
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
			errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
			errors.As(err, &network) && network.Timeout())
}

// hasStatus tells a registry's refusal by its HTTP status.
func hasStatus(err error, status int) bool {
	var failure *transport.Error
	return errors.As(err, &failure) && failure.StatusCode == status
}

// patient waits as long as a registry asks for with Retry-After, and tries again.
// It reads the beginning of an answer, which is all of a manifest: who tries again
// after a connection broke does so while the answer is being awaited, not read.
// It opens the body of a request anew each time: who sends a request again with
// another token sends the one whose body was read.
type patient struct{ inner http.RoundTripper }

const (
	mostWaits   = 5
	longestWait = time.Minute
)

func (p *patient) RoundTrip(request *http.Request) (*http.Response, error) {
	for wait := 0; ; wait++ {
		sent, err := reopened(request)
		if err != nil {
			return nil, err
		}
		response, err := p.inner.RoundTrip(sent)
		if err == nil && (request.Method == http.MethodGet || response.StatusCode >= http.StatusBadRequest) {
			err = readAhead(response, secretsOf(request))
		}
		if err != nil {
			return nil, err
		}
		if wait == mostWaits || response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusTooEarly {
			return response, nil
		}
		if request.Body != nil && request.GetBody == nil {
			return response, nil // a stream: the upload as a whole is tried again
		}
		response.Body.Close()
		select {
		case <-time.After(retryAfter(response.Header.Get("Retry-After"), wait)):
		case <-request.Context().Done():
			return nil, request.Context().Err()
		}
	}
}

// reopened is a request with its body at the beginning, where it can be had.
func reopened(request *http.Request) (*http.Request, error) {
	if request.Body == nil || request.GetBody == nil {
		return request, nil
	}
	request.Body.Close()
	body, err := request.GetBody()
	if err != nil {
		return nil, err
	}
	again := request.WithContext(request.Context())
	again.Body = body
	return again, nil
}

// retryAfter reads seconds or a date. https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func retryAfter(header string, wait int) time.Duration {
	asked := time.Second << wait
	if seconds, err := strconv.Atoi(header); err == nil {
		asked = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(header); err == nil {
		asked = time.Until(date)
	}
	return max(0, min(asked, longestWait))
}

// readAhead reads the beginning of an answer's body into memory. From a refusal,
// which is printed, it drops the secrets: some registries repeat what they got.
func readAhead(response *http.Response, secrets []string) error {
	body := response.Body
	read, err := io.ReadAll(io.LimitReader(body, mostSmall))
	if err != nil {
		body.Close()
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		for _, secret := range secrets {
			read = bytes.ReplaceAll(read, []byte(secret), []byte("…"))
		}
		response.ContentLength = -1
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), body), body}
	return nil
}

// secretsOf are the token or the password that a request bears, as it is sent and
// as it was typed.
func secretsOf(request *http.Request) []string {
	_, secret, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	if secret == "" {
		return nil
	}
	secrets := []string{secret}
	if _, password, isBasic := request.BasicAuth(); isBasic && password != "" {
		secrets = append(secrets, password)
	}
	return secrets
}

// mostSmall is the size of the largest document that is held in memory.
const mostSmall = 4 << 20

// readSmall reads a document and checks its digest.
func readSmall(content io.Reader, digest v1.Hash) ([]byte, error) {
	read, err := io.ReadAll(io.LimitReader(content, mostSmall+1))
	if err != nil {
		return nil, Explain("reading "+digest.String(), err)
	}
	if len(read) > mostSmall {
		return nil, fmt.Errorf("reading %s: more than %d bytes", digest, mostSmall)
	}
	if got, _, err := v1.SHA256(bytes.NewReader(read)); err != nil || got != digest {
		return nil, fmt.Errorf("reading %s: its content has digest %s", digest, got)
	}
	return read, nil
}

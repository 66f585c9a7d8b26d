package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// MostAttempts is the largest number of times that a request is sent.
	MostAttempts = 5
	longestWait  = time.Minute // in all, for one request; a longer wait is a LimitError
)

// LimitError means that a server refuses requests for longer than a request waits.
type LimitError struct {
	Host  string
	Until time.Time
	Said  string // the server's reason, on one line; "" if it gives none
	Hint  string // how to raise the limit; "" if unknown
}

func (e *LimitError) Error() string {
	text := fmt.Sprintf("%s takes no more requests until %s", e.Host, e.Until.Local().Format("15:04 MST, 2 January"))
	if e.Said != "" {
		text += " (" + e.Said + ")"
	}
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// Repeatable marks requests as safe to repeat, though they are POSTs: they only read.
func Repeatable(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatableKey{}, true)
}

type repeatableKey struct{}

func isRepeatable(request *http.Request) bool {
	return request.Method == http.MethodGet || request.Method == http.MethodHead ||
		request.Context().Value(repeatableKey{}) != nil
}

// RoundTrip sends a request. If the server asks to wait, RoundTrip waits up to a minute in all.
// If the server asks for longer, RoundTrip returns a LimitError, and later requests fail with
// it too until then. RoundTrip repeats reads after temporary errors. A server that does not
// answer gets no more requests for a minute. If the request has GetBody, its body is opened
// each time it is sent. RoundTrip reads the beginning of the answer to a read into memory: so a
// broken connection is repeated for small documents. It removes the request's secrets from
// refusals.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	quota := quotaOf(request)
	if err := t.closedTo(quota, request.URL.Host); err != nil {
		return nil, err
	}
	if request.Header.Get("User-Agent") == "" {
		request = request.Clone(request.Context())
		request.Header.Set("User-Agent", userAgent)
	}
	var waited time.Duration
	for attempt := 0; ; attempt++ {
		response, err := t.try(request)
		if isSilence(err, request.URL.Host) && (attempt+1 == mostSilences || !isRepeatable(request) || !temporary(nil, err)) {
			err = &spentError{err}
			t.close(request.URL.Host, t.Now().Add(longestWait), err)
			return nil, err
		}
		var delay time.Duration
		last := attempt+1 == MostAttempts || !reopens(request)
		switch until, limited := t.limit(response, err, attempt); {
		case limited:
			delay = max(0, until.Sub(t.Now()))
			if waited += delay; waited > longestWait || last {
				refusal := t.refusal(request, until, response)
				t.close(quota, until, refusal)
				if waited > longestWait {
					response.Body.Close()
					return nil, refusal
				}
			}
		case isRepeatable(request) && temporary(response, err):
			delay = backoff(response, attempt, t.Now())
			if last = last || delay > longestWait; last && err != nil {
				err = &spentError{err}
			}
		default:
			last = true
		}
		if last {
			return response, err
		}
		if response != nil {
			response.Body.Close()
		}
		if err := t.Wait(request.Context(), delay); err != nil {
			return nil, err
		}
	}
}

// try sends a request once, with its body from the beginning.
func (t *Transport) try(request *http.Request) (*http.Response, error) {
	sent, err := reopened(request)
	if err != nil {
		return nil, err
	}
	heard := listen(sent)
	if isRepeatable(request) { // sending may take long, and the pool limits its answer
		heard.within(t.options.Read)
	}
	response, err := t.once(sent.WithContext(heard.ctx))
	if err == nil {
		heard.body(response)
		if isRepeatable(request) || response.StatusCode >= http.StatusBadRequest {
			heard.within(t.beginning)
			err = readAhead(request, response)
		}
		heard.within(0)
		heard.pause = t.pause
	}
	if err != nil {
		return nil, heard.end(err)
	}
	return response, nil
}

// spentError is an error after the last attempt.
type spentError struct{ error }

func (e *spentError) Unwrap() error { return e.error }

// Temporary reports whether a request that got no answer may succeed later. It returns false if
// the request was repeated already.
func Temporary(err error) bool {
	return !errors.As(err, new(*spentError)) && Broken(err)
}

// Broken reports whether a connection broke, or was silent, before the whole answer was there.
func Broken(err error) bool {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return false // TCP and the resolver have repeated it already: the network is down
	}
	var network net.Error
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		(isReset(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
			errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
			errors.As(err, &network) && network.Timeout())
}

// quotaOf returns the rate limit that a request counts against. GitHub has one for GraphQL and
// one for the rest, each with and without a token.
func quotaOf(request *http.Request) string {
	quota := request.URL.Host
	if strings.HasSuffix(request.URL.Path, "/graphql") {
		quota += " graphql"
	}
	if request.Header.Get("Authorization") != "" {
		quota += " signed"
	}
	return quota
}

func (t *Transport) refusal(request *http.Request, until time.Time, response *http.Response) error {
	limit := &LimitError{Host: request.URL.Host, Until: until, Said: Said([]byte(beginning(response)))}
	if t.options.Hint != nil {
		limit.Hint = t.options.Hint(request)
	}
	return limit
}

// closure is a time until which a server gets no requests, and why.
type closure struct {
	until time.Time
	err   error
}

// closedTo returns why a quota or a host gets no requests now, or nil.
func (t *Transport) closedTo(quota, host string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range []string{quota, host} {
		if known, closed := t.closed[name]; closed && known.until.After(t.Now()) {
			return known.err
		}
	}
	return nil
}

func (t *Transport) close(name string, until time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed[name] = closure{until, err}
}

// limit reports whether an answer comes from a rate limit, and when the next request may be
// sent. It reads the headers in the order of GitHub's documentation.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
func (t *Transport) limit(response *http.Response, err error, attempt int) (time.Time, bool) {
	if err != nil || !slices.Contains([]int{http.StatusForbidden, http.StatusTooManyRequests, http.StatusTooEarly}, response.StatusCode) {
		return time.Time{}, false
	}
	now := t.Now()
	if delay, found := retryAfter(response.Header, now); found {
		return now.Add(delay), true
	}
	if reset, err := strconv.ParseInt(response.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil &&
		response.Header.Get("X-RateLimit-Remaining") == "0" {
		return time.Unix(reset, 0), true
	}
	first := max(t.options.FirstWait, time.Second)
	if response.StatusCode != http.StatusForbidden || strings.Contains(beginning(response), "secondary rate limit") {
		return now.Add(first << attempt), true
	}
	return time.Time{}, false
}

// retryAfter reads seconds or a date. https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<30)) * time.Second, true
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, date.Sub(now)), true
	}
	return 0, false
}

// RetriedCodes are the statuses after which the same request may succeed, apart from the
// statuses of rate limits.
var RetriedCodes = []int{http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
	http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// temporary reports whether a request may succeed later.
func temporary(response *http.Response, err error) bool {
	if err == nil {
		return slices.Contains(RetriedCodes, response.StatusCode)
	}
	return Broken(err)
}

// isReset reports whether a server ended a request over HTTP/2, where one connection has many.
func isReset(err error) bool {
	return errors.As(err, new(streamError)) || strings.Contains(err.Error(), "http2: server sent GOAWAY")
}

// streamError has the fields of http2.StreamError. net/http has a copy of that type, which it
// does not export; errors.As converts it.
type streamError struct {
	StreamID, Code uint32
	Cause          error
}

func (e streamError) Error() string { return fmt.Sprintf("stream %d: code %d", e.StreamID, e.Code) }

// Backoff returns how long to wait after attempt failed attempts, counted from 0: 0.2, 0.6,
// 1.8, 5.4 s, each up to 30 % more or less.
func Backoff(attempt int) time.Duration {
	delay := 200 * time.Millisecond
	for range attempt {
		delay *= 3
	}
	return time.Duration(float64(delay) * (0.7 + 0.6*rand.Float64()))
}

// backoff returns the server's waiting time if it names one, and Backoff otherwise.
func backoff(response *http.Response, attempt int, now time.Time) time.Duration {
	if response != nil {
		if asked, found := retryAfter(response.Header, now); found {
			return asked
		}
	}
	return Backoff(attempt)
}

// reopens reports whether a request can be sent again.
func reopens(request *http.Request) bool {
	return request.Body == nil || request.Body == http.NoBody || request.GetBody != nil
}

// bodyError means that the body of a request could not be opened.
type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

// reopened returns a request with its body at the beginning, if the request has GetBody. If a
// request is sent again with another token, its body was read before.
func reopened(request *http.Request) (*http.Request, error) {
	if request.Body == nil || request.GetBody == nil {
		return request, nil
	}
	request.Body.Close()
	body, err := request.GetBody()
	if err != nil {
		return nil, &bodyError{err}
	}
	again := request.WithContext(request.Context())
	again.Body = body
	return again, nil
}

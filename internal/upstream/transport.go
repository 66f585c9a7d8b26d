package upstream

import (
	"bytes"
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
	"sync"
	"syscall"
	"time"
)

const (
	userAgent     = "libre"
	mostAttempts  = 5
	longestWait   = time.Minute // what is longer is an error that says until when
	longestDial   = 15 * time.Second
	longestAnswer = time.Minute // for the beginning of an answer
	mostAhead     = 4 << 20     // bytes of an answer that are read before it counts as received
)

// LimitError says that a server takes no more requests for longer than one waits.
type LimitError struct {
	Host  string
	Until time.Time
	Hint  string // what would allow more, "" nothing known
}

func (e *LimitError) Error() string {
	text := fmt.Sprintf("%s takes no more requests until %s", e.Host, e.Until.Local().Format("15:04 MST, 2 January"))
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// repeatable marks requests that only read, though they are POSTs.
func repeatable(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatableKey{}, true)
}

type repeatableKey struct{}

func isRepeatable(request *http.Request) bool {
	return request.Method == http.MethodGet || request.Method == http.MethodHead ||
		request.Context().Value(repeatableKey{}) != nil
}

// patient waits as servers ask it to, tries again what may succeed a little later,
// and does not come back before the time when told to stay away for long.
type patient struct {
	inner http.RoundTripper
	api   string // host of GitHub's API, which allows more to those with a token
	now   func() time.Time
	wait  func(context.Context, time.Duration) error

	mu     sync.Mutex
	closed map[string]time.Time // host and quota → when it opens again
}

func newPatient(api string) *patient {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.DialContext = (&net.Dialer{Timeout: longestDial}).DialContext
	base.ResponseHeaderTimeout = longestAnswer
	base.MaxIdleConnsPerHost = 32 // many apps, one forge
	return &patient{inner: base, api: api, now: time.Now, wait: wait, closed: map[string]time.Time{}}
}

func wait(ctx context.Context, long time.Duration) error {
	select {
	case <-time.After(long):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *patient) RoundTrip(request *http.Request) (*http.Response, error) {
	quota := quotaOf(request)
	if until, closed := p.closedUntil(quota); closed {
		return nil, p.refuse(request, until)
	}
	for attempt := 0; ; attempt++ {
		response, err := p.inner.RoundTrip(request)
		if err == nil && isRepeatable(request) || err == nil && response.StatusCode >= http.StatusBadRequest {
			if err = readAhead(response, secretOf(request)); err != nil {
				response = nil
			}
		}
		var delay time.Duration
		again := false
		switch until, limited := p.limit(response, err, attempt); {
		case limited:
			delay, again = max(0, until.Sub(p.now())), true
			if delay > longestWait || attempt+1 == mostAttempts {
				response.Body.Close()
				p.close(quota, until)
				return nil, p.refuse(request, until)
			}
		case isRepeatable(request) && temporary(response, err):
			delay, again = backoff(response, attempt, p.now()), true
		}
		if !again || attempt+1 == mostAttempts || delay > longestWait {
			return response, err
		}
		next, rewound := rewind(request)
		if !rewound {
			return response, err
		}
		if response != nil {
			response.Body.Close()
		}
		if err := p.wait(request.Context(), delay); err != nil {
			return nil, err
		}
		request = next
	}
}

// quotaOf names what a server counts requests against: GitHub has one count for
// GraphQL and one for the rest, with and without a token.
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

func (p *patient) refuse(request *http.Request, until time.Time) error {
	hint := ""
	if request.URL.Host == p.api && request.Header.Get("Authorization") == "" {
		hint = "a token allows more, set GITHUB_TOKEN or use gh auth login"
	}
	return &LimitError{request.URL.Host, until, hint}
}

func (p *patient) closedUntil(quota string) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, closed := p.closed[quota]
	return until, closed && until.After(p.now())
}

func (p *patient) close(quota string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed[quota] = until
}

// limit tells whether an answer says that there were too many requests, and when
// the next may come. The order is GitHub's own advice.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
func (p *patient) limit(response *http.Response, err error, attempt int) (time.Time, bool) {
	if err != nil || response.StatusCode != http.StatusForbidden && response.StatusCode != http.StatusTooManyRequests {
		return time.Time{}, false
	}
	now := p.now()
	if delay, found := retryAfter(response.Header, now); found {
		return now.Add(delay), true
	}
	if reset, err := strconv.ParseInt(response.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil &&
		response.Header.Get("X-RateLimit-Remaining") == "0" {
		return time.Unix(reset, 0), true
	}
	if response.StatusCode == http.StatusTooManyRequests || strings.Contains(beginning(response), "secondary rate limit") {
		return now.Add(time.Minute << attempt), true
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

// temporary says whether what failed may succeed a little later.
func temporary(response *http.Response, err error) bool {
	if err == nil {
		return slices.Contains([]int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, response.StatusCode)
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return false // TCP and the resolver have tried for long: the network is down
	}
	var network net.Error
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
			errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
			errors.As(err, &network) && network.Timeout())
}

// backoff is 0.2, 0.6, 1.8, 5.4 s, a third more or less, unless the server says.
func backoff(response *http.Response, attempt int, now time.Time) time.Duration {
	if response != nil {
		if asked, found := retryAfter(response.Header, now); found {
			return asked
		}
	}
	delay := 200 * time.Millisecond
	for range attempt {
		delay *= 3
	}
	return time.Duration(float64(delay) * (0.7 + 0.6*rand.Float64()))
}

// rewind makes the request again, body included, where that can be had again.
func rewind(request *http.Request) (*http.Request, bool) {
	if request.Body == nil || request.Body == http.NoBody {
		return request, true
	}
	if request.GetBody == nil {
		return nil, false
	}
	body, err := request.GetBody()
	if err != nil {
		return nil, false
	}
	again := request.Clone(request.Context())
	again.Body = body
	return again, true
}

// readAhead reads the beginning of an answer's body into memory, so that what
// breaks in a small document is tried again. From a refusal, which is printed, it
// drops the token: some servers repeat what they got.
func readAhead(response *http.Response, secret string) error {
	body := response.Body
	read, err := io.ReadAll(io.LimitReader(body, mostAhead))
	if err != nil {
		body.Close()
		return err
	}
	if response.StatusCode >= http.StatusBadRequest && secret != "" {
		read = bytes.ReplaceAll(read, []byte(secret), []byte("…"))
		response.ContentLength = -1
	}
	response.Body = &begun{io.MultiReader(bytes.NewReader(read), body), body, read}
	return nil
}

// begun is a body whose beginning is known.
type begun struct {
	io.Reader
	io.Closer
	beginning []byte
}

func beginning(response *http.Response) string {
	if body, is := response.Body.(*begun); is {
		return string(body.beginning)
	}
	return ""
}

// secretOf is the token that a request bears.
func secretOf(request *http.Request) string {
	if _, password, isBasic := request.BasicAuth(); isBasic {
		return password
	}
	_, secret, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	return secret
}

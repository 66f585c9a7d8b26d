package publish

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// exchange is one request and its subject.
type exchange struct {
	method     string
	repository string // below the namespace; "" for the registry itself
	subject    string // a digest or a tag, "tags/list", "referrers/DIGEST"
	sent       int64  // bytes of the body
}

// exchanges are the requests since the recording of a registry began.
type exchanges struct {
	mu       sync.Mutex
	all      []*exchange
	sessions map[string][]*exchange // by the path of an upload, until its digest is known
}

// record records all requests, and delays each by latency.
func (w *watched) record(latency time.Duration) *exchanges {
	e := &exchanges{}
	e.forget()
	w.setMeddle(func(rw http.ResponseWriter, r *http.Request, forward http.HandlerFunc) bool {
		time.Sleep(latency)
		body := &counted{ReadCloser: r.Body}
		r.Body = body
		forward(rw, r)
		e.add(r, body.n, rw.Header().Get("Location"))
		return true
	})
	return e
}

// remember makes the proxy answer a reading request itself from the second time on. Without it, a
// benchmark would measure that go-containerregistry's registry reads each manifest of a repository
// for each list of attachments.
func (w *watched) remember() { w.answers = &sync.Map{} }

// answer answers a reading request of a proxy that remembers.
func (w *watched) answer(rw http.ResponseWriter, r *http.Request) {
	of := r.Method + " " + r.URL.String()
	kept, known := w.answers.Load(of)
	if !known {
		answer := httptest.NewRecorder()
		w.proxy.ServeHTTP(answer, r)
		w.answers.Store(of, answer)
		kept = answer
	}
	answer := kept.(*httptest.ResponseRecorder)
	maps.Copy(rw.Header(), answer.Header())
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes())
}

func (e *exchanges) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all, e.sessions = nil, map[string][]*exchange{}
}

var recordedPath = regexp.MustCompile(`^/v2/` + namespace + `/([^/]+)/(manifests/|blobs/|)(.+)$`)

// add records a request that was answered. The last request of an upload shows its digest.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#post-then-put
func (e *exchanges) add(r *http.Request, sent int64, location string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := &exchange{method: r.Method, sent: sent}
	e.all = append(e.all, x)
	parts := recordedPath.FindStringSubmatch(r.URL.Path)
	if parts == nil {
		return
	}
	x.repository, x.subject = parts[1], parts[3]
	if !strings.HasPrefix(x.subject, "uploads/") {
		return
	}
	session := path.Clean(r.URL.Path)
	if to, err := url.Parse(location); err == nil && r.Method != http.MethodPut && location != "" {
		session = path.Clean(to.Path)
	}
	query := r.URL.Query()
	x.subject = query.Get("digest") + query.Get("mount")
	if x.subject == "" {
		e.sessions[session] = append(e.sessions[session], x)
		return
	}
	for _, earlier := range e.sessions[session] {
		earlier.subject = x.subject
	}
}

// of returns the requests to repositories, without logins.
func (e *exchanges) of(include func(*exchange) bool) []*exchange {
	e.mu.Lock()
	defer e.mu.Unlock()
	var some []*exchange
	for _, x := range e.all {
		if x.repository != "" && include(x) {
			some = append(some, x)
		}
	}
	return some
}

// greetings returns the number of requests for logins.
func (e *exchanges) greetings() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(e.all), func(x *exchange) bool { return x.repository != "" }))
}

type counted struct {
	io.ReadCloser
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

// Package forgetest is a GitHub, Forgejo or GitLab server for tests. It serves repositories over
// git's smart HTTP protocol, archives, and the parts of the API that libre uses, with the
// documented fields, limits and errors.
//
//   - https://docs.github.com/en/rest and https://docs.github.com/en/graphql
//   - https://codeberg.org/api/swagger
//   - https://docs.gitlab.com/api/rest/
package forgetest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Forge is a server that stops when the test ends.
type Forge struct {
	URL string // of the web site; repositories are at URL/OWNER/REPO.git

	t      testing.TB
	kind   flavour
	root   string // folder of the bare repositories
	server *httptest.Server

	mu        sync.Mutex
	repos     map[string]*Repo // by owner/name, in lower case
	byID      map[int]*Repo
	renamed   map[string]string // old name → new name
	tokens    map[string]bool   // token → may push
	downloads map[string]string // one-time token of an archive → path
	fault     func(*http.Request) *Fault
	latency   time.Duration
	remaining int
	reset     time.Time
	requests  []Request
}

type flavour int

const (
	github flavour = iota
	forgejo
	gitlab
)

// Request is a request that was answered.
type Request struct {
	Method string
	Path   string // with the query
	Status int
	Token  string // token in the request; "" for none
}

// Fault is an answer that the server gives instead of the right one.
type Fault struct {
	Status int // 0 breaks the connection
	Header map[string]string
	Body   string
}

// GitHub starts a server with the paths of GitHub Enterprise: REST below /api/v3,
// GraphQL at /api/graphql.
func GitHub(t testing.TB) *Forge { return start(t, github) }

// Forgejo starts a server with the paths of Forgejo and Gitea: /api/v1.
func Forgejo(t testing.TB) *Forge { return start(t, forgejo) }

// GitLab starts a server with the paths of GitLab: /api/v4. Owners may be nested groups.
func GitLab(t testing.TB) *Forge { return start(t, gitlab) }

func start(t testing.TB, kind flavour) *Forge {
	t.Helper()
	f := &Forge{
		t: t, kind: kind, root: t.TempDir(),
		repos: map[string]*Repo{}, byID: map[int]*Repo{}, renamed: map[string]string{},
		tokens: map[string]bool{}, downloads: map[string]string{},
		remaining: 5000, reset: time.Now().Add(time.Hour),
	}
	api, web := http.NewServeMux(), http.NewServeMux()
	switch kind {
	case github:
		f.routeGitHub(api)
		f.routeWeb(web)
	case forgejo:
		f.routeForgejo(api)
		f.routeWeb(web)
	case gitlab:
		f.routeGitLab(api)
		web.HandleFunc("/", f.gitlabGit)
	}
	f.server = httptest.NewServer(f.watched(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			api.ServeHTTP(w, r)
		} else {
			web.ServeHTTP(w, r)
		}
	})))
	t.Cleanup(f.server.Close)
	f.URL = f.server.URL
	return f
}

// Environment returns the variables that a workflow's runner sets, without the token.
func (f *Forge) Environment() map[string]string {
	switch f.kind {
	case forgejo:
		return map[string]string{"FORGEJO_SERVER_URL": f.URL}
	case gitlab:
		return map[string]string{"GITLAB_CI": "true", "CI_SERVER_URL": f.URL}
	}
	return map[string]string{
		"GITHUB_SERVER_URL":  f.URL,
		"GITHUB_API_URL":     f.URL + "/api/v3",
		"GITHUB_GRAPHQL_URL": f.URL + "/api/graphql",
	}
}

// AddToken adds a token that may read everything and, if push is true, push.
func (f *Forge) AddToken(token string, push bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[token] = push
}

// SetFault sets a function that may return a fault for a request. The server then answers
// with the fault. nil removes the function. Calls are serialised.
func (f *Forge) SetFault(fault func(*http.Request) *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// SetQuota limits the number of API requests until the reset.
func (f *Forge) SetQuota(remaining int, reset time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remaining, f.reset = remaining, reset
}

// SetLatency sets the time that each answer takes.
func (f *Forge) SetLatency(latency time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latency = latency
}

// Requests returns the requests since the last call.
func (f *Forge) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests = nil
	return requests
}

// watched records each request, and adds faults and latency.
func (f *Forge) watched(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		f.mu.Lock()
		var fault *Fault
		if f.fault != nil {
			fault = f.fault(r)
		}
		latency := f.latency
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.requests = append(f.requests, Request{r.Method, r.URL.RequestURI(), seen.status, tokenOf(r)})
		}()
		time.Sleep(latency)
		if fault == nil {
			inner.ServeHTTP(seen, r)
			return
		}
		seen.status = fault.Status
		if fault.Status == 0 {
			panic(http.ErrAbortHandler)
		}
		for name, value := range fault.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(fault.Status)
		io.WriteString(w, fault.Body)
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// tokenOf returns the token of a request. A request can send it in four ways.
func tokenOf(r *http.Request) string {
	if token := r.Header.Get("PRIVATE-TOKEN"); token != "" {
		return token
	}
	if _, password, isBasic := r.BasicAuth(); isBasic {
		return password
	}
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token
}

// visit is a request whose token was checked.
type visit struct {
	repo    *Repo
	token   string
	mayPush bool
}

// enter finds the repository and checks the token. It answers 401 to an unknown token, 301
// if the repository was renamed, and 404 if it does not exist or is private. The caller
// holds f.mu.
func (f *Forge) enter(w http.ResponseWriter, r *http.Request) (visit, bool) {
	v := visit{token: tokenOf(r)}
	mayPush, known := f.tokens[v.token]
	if v.token != "" && !known {
		f.refuse(w, http.StatusUnauthorized, "Bad credentials")
		return v, false
	}
	v.mayPush = mayPush
	isAPI := strings.HasPrefix(r.URL.Path, "/api/")
	if id, err := strconv.Atoi(r.PathValue("id")); err == nil {
		v.repo = f.byID[id]
	} else {
		name := strings.ToLower(r.PathValue("owner") + "/" + strings.TrimSuffix(r.PathValue("repo"), ".git"))
		if f.kind == gitlab && isAPI {
			name = strings.ToLower(r.PathValue("project"))
		}
		if renamed := f.renamed[name]; renamed != "" {
			f.redirect(w, r, f.repos[renamed])
			return v, false
		}
		v.repo = f.repos[name]
	}
	if v.repo != nil && (!v.repo.private || known) {
		return v, true
	}
	if !isAPI && !known { // makes git ask for a password
		w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
		f.refuse(w, http.StatusUnauthorized, "Unauthorized")
		return v, false
	}
	f.refuse(w, http.StatusNotFound, "Not Found")
	return v, false
}

// redirect redirects from a former name to the repository. GitHub's API redirects to the
// repository's number.
func (f *Forge) redirect(w http.ResponseWriter, r *http.Request, repo *Repo) {
	old := "/" + r.PathValue("owner") + "/" + r.PathValue("repo")
	_, rest, _ := strings.Cut(r.URL.Path, old)
	to := url.URL{Path: "/" + repo.name + rest, RawQuery: r.URL.RawQuery}
	switch {
	case !strings.HasPrefix(r.URL.Path, "/api/"):
		if strings.HasSuffix(old, ".git") {
			to.Path = "/" + repo.name + ".git" + rest
		}
	case f.kind == github:
		to.Path = fmt.Sprintf("/api/v3/repositories/%d%s", repo.id, rest)
	default:
		to.Path = "/api/v1/repos/" + repo.name + rest
	}
	http.Redirect(w, r, f.URL+to.String(), http.StatusMovedPermanently)
}

// refuse answers with an error. GitLab's message contains the status.
func (f *Forge) refuse(w http.ResponseWriter, status int, message string) {
	if f.kind == gitlab {
		message = gitlabRefusal(status)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"message": message})
}

// api adds the rate limit and an ETag to an API answer. A 304 does not count against the
// limit if the request has a token. f.mu is held while answer runs.
func (f *Forge) api(answer func(visit, http.ResponseWriter, *http.Request) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.count(w) {
			return
		}
		v, entered := f.enter(w, r)
		if !entered {
			return
		}
		status, value := answer(v, w, r)
		f.send(w, r, status, value)
	}
}

// count takes one request off the quota, or answers with an error if none is left.
func (f *Forge) count(w http.ResponseWriter) bool {
	switch f.kind {
	case forgejo:
		return true
	case gitlab:
		return f.countGitLab(w)
	}
	allowed := f.remaining > 0
	f.remaining = max(0, f.remaining-1)
	w.Header().Set("X-RateLimit-Limit", "5000")
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(f.remaining))
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(f.reset.Unix(), 10))
	if !allowed {
		f.refuse(w, http.StatusForbidden, "API rate limit exceeded for 127.0.0.1.")
	}
	return allowed
}

func (f *Forge) send(w http.ResponseWriter, r *http.Request, status int, value any) {
	if status >= http.StatusBadRequest {
		if _, isText := value.(string); isText {
			value = map[string]any{"message": value}
		}
	}
	body, err := json.Marshal(value)
	if err != nil {
		f.t.Errorf("answering %s: %v", r.URL, err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if status == http.StatusOK && r.Method == http.MethodGet {
		tag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(body))
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			if tokenOf(r) != "" {
				f.remaining++
			}
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		w.Write(body)
	}
}

// page returns the requested page of a list, and sets the links to the pages beside it.
func page[T any](f *Forge, w http.ResponseWriter, r *http.Request, all []T, sizeName string, usual, most int) []T {
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get(sizeName))
	if err != nil || size < 1 {
		size = usual
	}
	size = min(size, most)
	number, err := strconv.Atoi(query.Get("page"))
	if err != nil || number < 1 {
		number = 1
	}
	last := max(1, (len(all)+size-1)/size)
	link := func(number int, rel string) string {
		query.Set("page", strconv.Itoa(number))
		return fmt.Sprintf(`<%s%s?%s>; rel="%s"`, f.URL, r.URL.EscapedPath(), query.Encode(), rel)
	}
	var links []string
	if number < last {
		links = append(links, link(number+1, "next"), link(last, "last"))
	}
	if number > 1 {
		links = append(links, link(1, "first"), link(number-1, "prev"))
	}
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
	if f.kind == gitlab {
		namePage(w, number, last, size)
	}
	from := min(len(all), (number-1)*size)
	return slices.Clone(all[from:min(len(all), from+size)])
}

// once returns a token that is valid for one download.
func (f *Forge) once(path string) string {
	token := rand.Text()
	f.downloads[token] = path
	return token
}

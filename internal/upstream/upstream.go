// Package upstream finds the versions of an app's upstream: the tags of its repository, the
// forge's release for each tag (draft, prerelease, date, notes), the versions of a Go module,
// and the tags of a base image. It does not choose between them. Names, notes and addresses
// come from outside: their length is limited, but they are otherwise unchanged.
package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/web"
)

// Source is the source of an app, as its definition declares it.
type Source struct {
	Kind     string // github, git, goModule, url or path
	Location string // by kind: OWNER/REPO, a repository's URL, a module's path
	Forge    string // for kind git: forgejo, gitea or gitlab if libre can read its releases; otherwise ""
	Tag      string // tag or module version in use; "" if unknown
}

// Tag is a tag of a repository, or a version of a Go module.
type Tag struct {
	Name   string `json:"name"`
	Commit string `json:"commit,omitempty"` // peeled, hexadecimal; "" if unknown
}

// Tags are all tags of a source, in no particular order.
type Tags struct {
	All     []Tag
	MovedTo string // URL of the repository that the declared one redirects to; otherwise ""
}

// Release is what the forge or proxy knows about a tag besides its name.
type Release struct {
	Tag        string
	Date       time.Time // of publication; zero if unknown
	Draft      bool
	Prerelease bool
	Notes      string // from upstream, usually Markdown
	Page       string // URL for a browser
	Reason     string // why not to use it, such as "retracted: leaks"; otherwise ""
	Needs      string // what this machine lacks to build it, such as "needs go 1.27, this machine has 1.26.8"; otherwise ""
}

// Links are URLs about an update from one tag to another. They are "" if the host has none.
type Links struct {
	Release string // page of the new tag
	Compare string // the changes between the two
	Archive string // the new tag's tree as .tar.gz
}

// Finder finds the versions of one source.
type Finder interface {
	// Tags lists all tags.
	Tags(ctx context.Context) (Tags, error)
	// Release returns the release of a tag, or nil if only the tag's name is known. It reads no
	// more than it needs, so ask for the best candidates first.
	Release(ctx context.Context, tag string) (*Release, error)
	// Links returns URLs. It sends no request.
	Links(from, to string) Links
}

// userAgent is libre's name in requests to servers.
const userAgent = "libre"

// ErrNotFound means that a repository, module or image does not exist, or is hidden from us.
var ErrNotFound = errors.New("not found")

// NothingToFindError means that a source of this kind is a single file or folder, and there is
// no list of other versions.
type NothingToFindError struct{ Kind string } // "": there is no source

func (e *NothingToFindError) Error() string {
	if e.Kind == "" {
		return "it has no source: declare github, git or goModule to follow upstream"
	}
	return fmt.Sprintf("a source of kind %s lists no versions: declare github, git or goModule to follow upstream", e.Kind)
}

// Config is what a Client needs from its caller.
type Config struct {
	CacheDir    string              // folder for responses that can be revalidated; "" keeps none
	Getenv      func(string) string // reads settings and tokens; nil is os.Getenv
	Authorities *web.Authorities    // trusted in addition to the system's; nil is none
	Deadline    time.Duration       // for a request with its whole response; 0 is DefaultDeadline
	Limits      ArchiveLimits       // of each archive; zero is DefaultArchiveLimits
	Nix         NixLogins           // the logins in Nix's settings
	GoVersion   string              // of the toolchain that builds, such as 1.26.8; "" accepts every module
}

// Client sends requests to forges, module proxies and registries. It is safe for concurrent
// use.
type Client struct {
	http      *http.Client
	transport *web.Transport // below tokens and cache
	github    *github.Client
	endpoints githubEndpoints
	tokens    credentials
	modules   goSettings
	goVersion string
	getenv    func(string) string
	cacheDir  string
	deadline  time.Duration
	limits    ArchiveLimits

	mu        sync.Mutex
	overviews map[string]*overview // by OWNER/REPO
}

// New returns a client. It reads the environment and sends no request: GITHUB_SERVER_URL,
// GITHUB_API_URL and GITHUB_GRAPHQL_URL, as workflows set them; the tokens that newCredentials
// lists; Go's GOPROXY, GONOPROXY, GOPRIVATE and GOENV.
func New(config Config) (*Client, error) {
	getenv := config.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	endpoints, err := newGitHubEndpoints(getenv)
	if err != nil {
		return nil, err
	}
	tokens, err := newCredentials(getenv, endpoints, config.Nix)
	if err != nil {
		return nil, err
	}
	modules, err := newGoSettings(getenv)
	if err != nil {
		return nil, err
	}
	c := &Client{
		transport: web.NewTransport(web.Options{FirstWait: time.Minute, Hint: endpoints.hint, Authorities: config.Authorities}),
		endpoints: endpoints,
		tokens:    tokens,
		modules:   modules,
		goVersion: config.GoVersion,
		getenv:    getenv,
		cacheDir:  config.CacheDir,
		deadline:  cmp.Or(config.Deadline, DefaultDeadline),
		limits:    cmp.Or(config.Limits, DefaultArchiveLimits),
		overviews: map[string]*overview{},
	}
	c.http = &http.Client{
		Transport:     deadline{&authorised{tokens, &cached{config.CacheDir, c.transport}}, c.deadline},
		CheckRedirect: checkRedirect,
	}
	c.github = github.NewClient(&http.Client{Transport: uncounted{c.http.Transport}, CheckRedirect: checkRedirect})
	c.github.BaseURL = below(endpoints.api, "")
	c.github.UserAgent = userAgent
	return c, nil
}

// Limits returns the limits for each archive.
func (c *Client) Limits() ArchiveLimits { return c.limits }

// Deadline returns the time limit of a request with its whole response.
func (c *Client) Deadline() time.Duration { return c.deadline }

// HTTP returns the client for all requests. It sends a host's token to that host only,
// revalidates by ETag, and waits as long as servers ask.
func (c *Client) HTTP() *http.Client { return c.http }

// Token returns the token for a URL, for git, or "" if there is none.
func (c *Client) Token(place *url.URL) string {
	credential, _ := c.tokens.forURL(place)
	return credential.token
}

// GitHub returns a client for the API of GitHub, or of the Enterprise server in the
// environment.
func (c *Client) GitHub() *github.Client { return c.github }

// Open returns the finder of a source, or a *NothingToFindError.
func (c *Client) Open(source Source) (Finder, error) {
	switch source.Kind {
	case "github":
		return c.openGitHub(source.Location)
	case "git":
		switch source.Forge {
		case "":
			return &gitRepository{c, source.Location}, nil
		case "forgejo", "gitea":
			return c.openForgejo(source.Location)
		case "gitlab":
			return c.openGitLab(source.Location)
		}
		return nil, fmt.Errorf("unknown forge %q of %s, expected forgejo, gitea or gitlab", source.Forge, redacted(source.Location))
	case "goModule":
		return c.openModule(source.Location)
	}
	return nil, &NothingToFindError{source.Kind}
}

// explain adds what was being done to an error. It drops the request's URL from errors of
// net/http, because it is long and may contain a password.
func explain(doing string, err error) error {
	var failure *url.Error
	if errors.As(err, &failure) {
		err = failure.Err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// refusal returns the error for a response's status.
func (c *Client) refusal(place *url.URL, status int, message string) error {
	hint := ": " + c.hint(place)
	token, sent := c.tokens.forURL(place)
	if sent {
		hint = " to the token of " + token.from + ": check its expiry and its rights"
	}
	switch {
	case status == http.StatusNotFound || status == http.StatusUnauthorized && !sent:
		return fmt.Errorf("%w, or private%s", ErrNotFound, hint)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &fault.Fault{Kind: fault.Credentials, Err: fmt.Errorf("%s refuses (%d %s)%s", place.Host, status, http.StatusText(status), hint)}
	}
	if message = strings.TrimSpace(capped(message, 200)); message != "" {
		message = ": " + message
	}
	return fmt.Errorf("%s answers %d %s%s", place.Host, status, http.StatusText(status), message)
}

// hint returns advice on how to log in to a host without a login.
func (c *Client) hint(place *url.URL) string {
	switch {
	case place.Host == c.endpoints.server.Host || place.Host == c.endpoints.api.Host || place.Host == "github.com":
		return "set GITHUB_TOKEN or use gh auth login"
	case strings.Contains(place.Path, "/api/v1/"):
		return fmt.Sprintf("set FORGEJO_TOKEN, and FORGEJO_SERVER_URL to %s://%s", place.Scheme, place.Host)
	case strings.Contains(place.Path, "/-/") || strings.Contains(place.Path, "/api/v4/") || strings.HasPrefix(place.Host, "gitlab."):
		return fmt.Sprintf("set GITLAB_TOKEN, and GITLAB_HOST to %s://%s", place.Scheme, place.Host)
	}
	return fmt.Sprintf("write machine %s login USER password TOKEN into ~/.netrc", place.Hostname())
}

// redacted returns a location without its password.
func redacted(location string) string {
	if place, err := url.Parse(location); err == nil {
		return place.Redacted()
	}
	return location
}

// capped cuts a text from outside to at most n bytes, at the end of a character.
func capped(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}

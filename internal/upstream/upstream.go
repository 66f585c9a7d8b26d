// Package upstream finds the versions that an app's upstream offers: the tags of
// its repository (the truth), what the forge says about each of them (draft,
// prerelease, date, notes), the versions of a Go module, the tags of a base image.
// It finds and does not decide. Names, notes and addresses are what others wrote:
// data, of limited length, otherwise unchanged.
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

// Source says where an app's program comes from, as its definition declares it.
type Source struct {
	Kind     string // github, git, goModule, url or path
	Location string // by kind: OWNER/REPO, a repository's URL, a module's path
	Forge    string // of kind git: forgejo or gitea where its releases can be asked for, else ""
	Tag      string // the tag or module version in use, "" unknown
}

// Tag is a name that upstream gave to a commit, or a module's version.
type Tag struct {
	Name   string `json:"name"`
	Commit string `json:"commit,omitempty"` // peeled, hexadecimal; "" unknown
}

// Tags are all tags of a source, in no order that means anything.
type Tags struct {
	All     []Tag
	MovedTo string // URL of the repository where the declared one redirects to, else ""
}

// Release is what is known of a tag beyond its name.
type Release struct {
	Tag        string
	Date       time.Time // of publication; zero unknown
	Draft      bool
	Prerelease bool
	Notes      string // as upstream wrote them, usually Markdown
	Page       string // URL for people
	Reason     string // why nobody should use it, such as "retracted: leaks", else ""
	Needs      string // what is missing here to use it, such as "needs go 1.27, this machine has 1.26.8", else ""
}

// Links are URLs for a step from one tag to another; "" where the place has none.
type Links struct {
	Release string // page of the new tag
	Compare string // what changed between the two
	Archive string // the new tag's tree as .tar.gz
}

// Finder knows one source's versions.
type Finder interface {
	// Tags lists all of them.
	Tags(ctx context.Context) (Tags, error)
	// Release tells what is known of a tag; nil where there is nothing beyond its
	// name. It asks for no more than it needs: ask for the best candidates first.
	Release(ctx context.Context, tag string) (*Release, error)
	// Links makes URLs, and asks nobody.
	Links(from, to string) Links
}

// userAgent is what servers see of libre.
const userAgent = "libre"

// ErrNotFound says that there is no such repository, module or image, or none that
// we are let see.
var ErrNotFound = errors.New("not found")

// NothingToFindError says that a source of this kind names one file or folder, and
// no place where other versions would be listed.
type NothingToFindError struct{ Kind string } // "": there is no source

func (e *NothingToFindError) Error() string {
	if e.Kind == "" {
		return "it has no source: declare github, git or goModule to follow upstream"
	}
	return fmt.Sprintf("a source of kind %s lists no versions: declare github, git or goModule to follow upstream", e.Kind)
}

// Config is what a Client cannot know by itself.
type Config struct {
	CacheDir    string              // folder for answers to ask for again by ETag; "" keeps none
	Getenv      func(string) string // where settings and tokens come from; nil is os.Getenv
	Authorities *web.Authorities    // trusted beside the system's; nil is none
	Deadline    time.Duration       // for a question and its whole answer; 0 is DefaultDeadline
	Limits      ArchiveLimits       // of each archive; zero is DefaultArchiveLimits
	Nix         NixLogins           // what Nix is set to log in with
	GoVersion   string              // of the toolchain that builds, such as 1.26.8; "" takes every module
}

// Client asks forges, module proxies and registries. It is safe for concurrent use.
type Client struct {
	http      *http.Client
	transport *web.Transport // below tokens and cache
	github    *github.Client
	places    githubPlaces
	tokens    credentials
	modules   goSettings
	goVersion string
	cacheDir  string
	deadline  time.Duration
	limits    ArchiveLimits

	mu        sync.Mutex
	overviews map[string]*overview // by OWNER/REPO
}

// New reads the environment, and asks nobody yet. Used are GITHUB_SERVER_URL,
// GITHUB_API_URL and GITHUB_GRAPHQL_URL, as workflows set them; the tokens that
// newCredentials lists; Go's GOPROXY, GONOPROXY, GOPRIVATE and GOENV.
func New(config Config) (*Client, error) {
	getenv := config.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	places, err := newGitHubPlaces(getenv)
	if err != nil {
		return nil, err
	}
	tokens, err := newCredentials(getenv, places, config.Nix)
	if err != nil {
		return nil, err
	}
	modules, err := newGoSettings(getenv)
	if err != nil {
		return nil, err
	}
	c := &Client{
		transport: web.NewTransport(web.Options{FirstWait: time.Minute, Hint: places.hint, Authorities: config.Authorities}),
		places:    places,
		tokens:    tokens,
		modules:   modules,
		goVersion: config.GoVersion,
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
	c.github.BaseURL = below(places.api, "")
	c.github.UserAgent = userAgent
	return c, nil
}

// Limits are those of each archive that is read.
func (c *Client) Limits() ArchiveLimits { return c.limits }

// Deadline is how long an upstream may take for a question and its whole answer.
func (c *Client) Deadline() time.Duration { return c.deadline }

// HTTP is the client that all requests go through. It sends the token of a host to
// that host alone, asks again by ETag, and waits as servers ask it to.
func (c *Client) HTTP() *http.Client { return c.http }

// Token is the token that a URL may see, "" where there is none: for git.
func (c *Client) Token(place *url.URL) string {
	credential, _ := c.tokens.forPlace(place)
	return credential.token
}

// GitHub is the API of GitHub, or of the Enterprise server in the environment.
func (c *Client) GitHub() *github.Client { return c.github }

// Open gives the finder of a source, or a *NothingToFindError.
func (c *Client) Open(source Source) (Finder, error) {
	switch source.Kind {
	case "github":
		return c.openGitHub(source.Location)
	case "git":
		if source.Forge == "forgejo" || source.Forge == "gitea" {
			return c.openForgejo(source.Location)
		}
		if source.Forge != "" {
			return nil, fmt.Errorf("unknown forge %q of %s, expected forgejo or gitea", source.Forge, redacted(source.Location))
		}
		return &gitRepository{c, source.Location}, nil
	case "goModule":
		return c.openModule(source.Location)
	}
	return nil, &NothingToFindError{source.Kind}
}

// explain says what was being done, and drops the request's URL, which the error
// of net/http begins with: it may hold a password, and is long.
func explain(doing string, err error) error {
	var failure *url.Error
	if errors.As(err, &failure) {
		err = failure.Err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// refusal turns the status of an answer into an error.
func (c *Client) refusal(place *url.URL, status int, message string) error {
	hint := ": " + c.hint(place)
	token, sent := c.tokens.forPlace(place)
	if sent {
		hint = " to the token of " + token.from + ": look at its expiry and its rights"
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

// hint says how to log in at a place that has no login yet.
func (c *Client) hint(place *url.URL) string {
	switch {
	case place.Host == c.places.server.Host || place.Host == c.places.api.Host || place.Host == "github.com":
		return "set GITHUB_TOKEN or use gh auth login"
	case strings.Contains(place.Path, "/api/v1/"):
		return fmt.Sprintf("set FORGEJO_TOKEN, and FORGEJO_SERVER_URL to %s://%s", place.Scheme, place.Host)
	case strings.Contains(place.Path, "/-/") || strings.HasPrefix(place.Host, "gitlab."):
		return fmt.Sprintf("write access-tokens = %s=PAT:TOKEN into ~/.config/nix/nix.conf", place.Host)
	}
	return fmt.Sprintf("write machine %s login USER password TOKEN into ~/.netrc", place.Hostname())
}

// redacted is a location without a password.
func redacted(location string) string {
	if place, err := url.Parse(location); err == nil {
		return place.Redacted()
	}
	return location
}

// capped shortens a text from outside to at most n bytes of whole characters.
func capped(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}

package propose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/libresh/libre/internal/bump/outside"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/upstream"
)

// forge is what proposing needs of GitHub, or of Forgejo and Gitea.
type forge interface {
	// openPulls lists the open pull requests.
	openPulls(ctx context.Context) ([]pull, error)
	// closedPulls lists those of a branch that are closed, and maybe others.
	closedPulls(ctx context.Context, branch string) ([]pull, error)
	// create opens one, with the label, and fills in its number and URL.
	create(ctx context.Context, p *pull) error
	// edit changes title, body and base.
	edit(ctx context.Context, p pull) error
	// close closes one with a comment, and replaces its body.
	close(ctx context.Context, p pull, comment string) error
}

// pull is a pull request from a branch of the repository itself; others, whose
// branches may have any name, are not among them.
type pull struct {
	number       int
	url          string
	title, body  string
	branch, base string
	merged       bool
}

// proposalLabel is the label of pull requests that libre opens.
const (
	proposalLabel      = "libre"
	proposalLabelColor = "#1d76db"
)

// hosting says where a repository is.
type hosting struct {
	kind        string   // github or forgejo
	server      *url.URL // of the forge
	owner, name string
}

// scpLike is git's short form of an address for ssh.
// https://git-scm.com/docs/git-clone#_git_urls
var scpLike = regexp.MustCompile(`^(?:[^@/:]+@)?([^/:\[\]]+):(.+)$`)

// hostingOf tells where a remote's address leads. The kind, where it is not given,
// follows from the environment of workflows and from the forges that everybody
// knows; an address' shape says nothing about it.
func hostingOf(location, kind string, getenv func(string) string) (hosting, error) {
	if kind != "" && kind != "github" && kind != "forgejo" {
		return hosting{}, fmt.Errorf("forge %q, expected github or forgejo", kind)
	}
	place, err := url.Parse(location)
	if err != nil || place.Host == "" {
		short := scpLike.FindStringSubmatch(location)
		if short == nil || strings.Contains(location, "://") {
			return hosting{}, errors.New("origin is at no forge: pull requests need an address of GitHub or Forgejo, of https or ssh")
		}
		place = &url.URL{Scheme: "ssh", Host: short[1], Path: "/" + strings.TrimPrefix(short[2], "/")}
	}
	folder := strings.TrimSuffix(strings.Trim(place.Path, "/"), ".git")
	h := hosting{kind: kind, name: path.Base(folder), owner: path.Base(path.Dir(folder))}
	if !alphabet.MatchString(h.name) || !alphabet.MatchString(h.owner) || h.owner == "." || h.name == ".." {
		return hosting{}, fmt.Errorf("origin is at %s, expected an address that ends in OWNER/REPOSITORY", place.Redacted())
	}
	switch place.Scheme {
	case "https", "http":
		above := strings.TrimSuffix(path.Dir(path.Dir("/"+folder)), "/")
		h.server = &url.URL{Scheme: place.Scheme, Host: strings.ToLower(place.Host), Path: above}
	default:
		h.server = &url.URL{Scheme: "https", Host: strings.ToLower(place.Hostname())}
	}
	onForgejo := getenv("FORGEJO_ACTIONS") == "true" || getenv("GITEA_ACTIONS") == "true"
	known := func(variable, kind string) {
		server, err := url.Parse(strings.TrimRight(getenv(variable), "/"))
		if err != nil || !strings.EqualFold(server.Hostname(), h.server.Hostname()) {
			return
		}
		if place.Scheme != "http" && place.Scheme != "https" { // with the port and folder that ssh does not know
			h.server = server
		}
		h.kind = cmp.Or(h.kind, kind)
	}
	known("FORGEJO_SERVER_URL", "forgejo")
	known("GITEA_SERVER_URL", "forgejo")
	if onForgejo {
		known("GITHUB_SERVER_URL", "forgejo")
	} else {
		known("GITHUB_SERVER_URL", "github")
	}
	switch host := h.server.Host; {
	case h.kind != "":
	case host == "github.com" || strings.HasSuffix(host, ".ghe.com"):
		h.kind = "github"
	case host == "codeberg.org":
		h.kind = "forgejo"
	default:
		return hosting{}, fmt.Errorf(`origin is at %s: say in libre.yaml what that is, "forge: github" or "forge: forgejo"`, host)
	}
	return h, nil
}

func (h hosting) String() string { return h.owner + "/" + h.name }

// open gives the forge.
func (h hosting) open(client *upstream.Client) (forge, error) {
	if h.kind == "forgejo" {
		return &forgejoPulls{h, client.HTTP(), h.server.JoinPath("api/v1/repos", h.owner, h.name)}, nil
	}
	api := client.GitHub().BaseURL.Host
	if api != h.server.Host && api != "api."+h.server.Host {
		return nil, fmt.Errorf("origin is at %s, the API in use is that of %s: set GITHUB_SERVER_URL=%s", h.server.Host, api, h.server)
	}
	return &githubPulls{h, client.GitHub()}, nil
}

// refusal is an answer of a forge that is no success. Its message is outside text.
func (h hosting) refusal(status int, message string) error {
	if message = outside.Clip(text.Line(message), 200); message != "" {
		message = ": " + message
	}
	answer := fmt.Sprintf("%s answers %d %s%s", h.server.Host, status, http.StatusText(status), message)
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &fault.Fault{Kind: fault.Credentials, Err: fmt.Errorf("%s: the token needs the right to write contents and pull requests of %s", answer, h)}
	case status == http.StatusNotFound:
		return fmt.Errorf("%s: there is no %s, or the token may not see it", answer, h)
	case status >= 300 && status < 400:
		return fmt.Errorf("%s: %s has moved: git remote set-url origin URL", answer, h)
	}
	return errors.New(answer)
}

// explainPull says what was being done, and drops the address of the request, with
// which the errors of net/http begin.
func explainPull(doing string, err error) error {
	var failure *url.Error
	if errors.As(err, &failure) {
		err = failure.Err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// alphabet is that of names and versions, everywhere in libre.
var alphabet = regexp.MustCompile(`^[0-9A-Za-z._-]+$`)

package propose

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/upstream"
)

// forge has the functions for pull requests and issues that GitHub, Forgejo and Gitea, or
// GitLab must provide.
type forge interface {
	// reference names a pull request in Markdown, such as #12.
	reference(number int) string
	// openPulls lists the open pull requests.
	openPulls(ctx context.Context) ([]pull, error)
	// closedPulls lists the closed pull requests of a branch. It may also list others.
	closedPulls(ctx context.Context, branch string) ([]pull, error)
	// create opens a pull request with the label, and sets its number and URL.
	create(ctx context.Context, p *pull) error
	// edit updates the title, body and base of a pull request.
	edit(ctx context.Context, p pull) error
	// close closes a pull request with a comment, and updates its body.
	close(ctx context.Context, p pull, comment string) error

	// issues lists the open or closed issues with libre's label, the newest first.
	issues(ctx context.Context, state string) ([]issue, error)
	// createIssue opens an issue with the label, and sets its number and URL.
	createIssue(ctx context.Context, i *issue) error
	// editIssue updates the title, body and state of an issue, and adds a comment unless that is
	// empty.
	editIssue(ctx context.Context, i issue, state, comment string) error
}

// pull is a pull request from a branch of the repository itself. Those from forks, whose
// branches may have any name, are not included.
type pull struct {
	number       int
	url          string
	title, body  string
	branch, base string
	merged       bool
}

// proposalLabel is the label of pull requests and issues that libre opens.
const (
	proposalLabel      = "libre"
	proposalLabelColor = "#1d76db"
)

// hosting is the place of the catalogue's repository.
type hosting struct {
	upstream.Hosting
	access string // access that a token must have
}

// open returns the forge.
func (h hosting) open(client *upstream.Client) (forge, error) {
	switch h.Kind {
	case "forgejo":
		return &forgejoForge{restForge{h, client.HTTP(), h.Server.JoinPath("api/v1/repos", h.Owner, h.Name)}}, nil
	case "gitlab":
		return &gitlabForge{restForge{h, client.HTTP(), h.Server.JoinPath("api/v4/projects", url.PathEscape(h.String()))}}, nil
	}
	api := client.GitHub().BaseURL.Host
	if api != h.Server.Host && api != "api."+h.Server.Host {
		return nil, fmt.Errorf("origin is at %s, the API in use is that of %s: set GITHUB_SERVER_URL=%s", h.Server.Host, api, h.Server)
	}
	return &githubForge{h, client.GitHub()}, nil
}

func (h hosting) reference(number int) string { return fmt.Sprintf("#%d", number) }

// needs returns the access that a token must have.
func (h hosting) needs() string {
	if h.Kind == "gitlab" {
		return "the scope api, and the role Developer in " + h.String()
	}
	return "write access to " + h.access + " of " + h.String()
}

// refusal returns the error for an unsuccessful answer of a forge. Its message is outside text.
func (h hosting) refusal(status int, message string) error {
	said := fmt.Sprintf("%d %s", status, http.StatusText(status))
	message = strings.TrimLeft(strings.TrimPrefix(text.Short(message, 200), said), " -") // GitLab repeats the status
	if message != "" {
		message = ": " + message
	}
	answer := fmt.Sprintf("%s answers %s%s", h.Server.Host, said, message)
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &fault.Fault{Kind: fault.Credentials, Err: fmt.Errorf("%s: the token needs %s", answer, h.needs())}
	case status == http.StatusNotFound:
		return fmt.Errorf("%s: %s does not exist, or is hidden from the token", answer, h)
	case status >= 300 && status < 400:
		return fmt.Errorf("%s: %s has moved: git remote set-url origin URL", answer, h)
	}
	return errors.New(answer)
}

// explainPull adds what was being done to an error. It drops the request's address from errors
// of net/http.
func explainPull(doing string, err error) error {
	var failure *url.Error
	if errors.As(err, &failure) {
		err = failure.Err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// alphabet matches names and versions everywhere in libre.
var alphabet = lazyregexp.New(`^[0-9A-Za-z._-]+$`)

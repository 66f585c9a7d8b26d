package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/libresh/libre/internal/fault"
)

// CheckedToken is a token that a forge was asked about.
type CheckedToken struct {
	Server string // host of the forge's API
	From   string // where the token is set: a variable, or gh's file
	Err    error  // why the forge refuses it, or the error of a forge that does not answer; nil if it is valid
}

// CheckTokens asks each forge that has an API whether its token is valid. It does not check the
// token's rights, because they depend on the repository. The error for an invalid token is a
// fault of kind Credentials.
func (c *Client) CheckTokens(ctx context.Context) []CheckedToken {
	var all []CheckedToken
	asked := map[string]bool{}
	for _, token := range c.tokens {
		question := map[string]string{"Bearer": "rate_limit", "token": "user", gitLabOAuth: "api/v4/user"}[token.scheme]
		if question == "" || !strings.Contains(token.origin, "://") || asked[token.origin+token.token] {
			continue
		}
		asked[token.origin+token.token] = true
		api, err := url.Parse(token.origin + token.prefix)
		if err != nil {
			continue // origins come from URLs, so they are valid
		}
		all = append(all, CheckedToken{api.Host, token.from, c.checkToken(ctx, token, api, question)})
	}
	return all
}

// checkToken sends a request that is allowed with every token. GitHub's rate limit costs
// nothing, and tokens of workflows can read it: https://docs.github.com/en/rest/rate-limit.
// Forgejo and GitLab answer 403 to a valid token with fewer rights.
func (c *Client) checkToken(ctx context.Context, token credential, api *url.URL, question string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, below(api, question).String(), nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return explain("asking "+api.Host, err)
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case status == http.StatusUnauthorized:
		page := url.URL{Scheme: c.endpoints.server.Scheme, Host: c.endpoints.server.Host, Path: "/settings/tokens"}
		switch token.scheme {
		case "token":
			page = url.URL{Scheme: api.Scheme, Host: api.Host, Path: "/user/settings/applications"}
		case gitLabOAuth:
			page = *below(api, "-/user_settings/personal_access_tokens")
		}
		fix := fmt.Sprintf("create a token at %s, and set %s", page.String(), token.from)
		if token.from == fromGH {
			fix = "gh auth login --hostname " + c.endpoints.server.Host
		}
		return &fault.Fault{
			Kind: fault.Credentials,
			Err:  fmt.Errorf("%s refuses the token of %s: it may have expired", api.Host, token.from),
			Fix:  fix,
		}
	case status >= http.StatusInternalServerError:
		return fmt.Errorf("%s answers %d %s", api.Host, status, http.StatusText(status))
	}
	return nil
}

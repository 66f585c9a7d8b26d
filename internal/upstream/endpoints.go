package upstream

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// githubEndpoints are the URLs of GitHub, or of an Enterprise server.
type githubEndpoints struct{ server, api, graphql *url.URL }

// newGitHubEndpoints reads the variables that GitHub sets in workflows.
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables
//
// Runners of Forgejo and Gitea set the same variables to their own URLs, which are ignored.
func newGitHubEndpoints(getenv func(string) string) (githubEndpoints, error) {
	ours := getenv
	if isForgejoRunner(getenv) {
		ours = func(string) string { return "" }
	}
	var endpoints githubEndpoints
	for _, place := range []struct {
		variable string
		into     **url.URL
		usual    func() string
	}{
		{"GITHUB_SERVER_URL", &endpoints.server, func() string { return "https://github.com" }},
		{"GITHUB_API_URL", &endpoints.api, func() string { return apiOf(endpoints.server) }},
		{"GITHUB_GRAPHQL_URL", &endpoints.graphql, func() string { return graphqlOf(endpoints.api) }},
	} {
		text := ours(place.variable)
		if text == "" {
			text = place.usual()
		}
		parsed, err := parseServerURL(text)
		if err != nil {
			return githubEndpoints{}, fmt.Errorf("%s %w", place.variable, err)
		}
		*place.into = parsed
	}
	return endpoints, nil
}

// hint returns advice on how to get more requests per hour.
func (p githubEndpoints) hint(request *http.Request) string {
	if request.URL.Host == p.api.Host && request.Header.Get("Authorization") == "" {
		return "a token allows more, set GITHUB_TOKEN or use gh auth login"
	}
	return ""
}

// isForgejoRunner reports whether this is a job of a Forgejo or Gitea runner.
func isForgejoRunner(getenv func(string) string) bool {
	return getenv("FORGEJO_ACTIONS") == "true" || getenv("GITEA_ACTIONS") == "true"
}

// gitlabServer returns the URL of the GitLab that GITLAB_TOKEN is for: GITLAB_HOST, as in glab,
// the server of a CI job, or gitlab.com.
// https://docs.gitlab.com/ci/variables/predefined_variables/
func gitlabServer(getenv func(string) string) string {
	host, job := getenv("GITLAB_HOST"), ""
	if host != "" && !strings.Contains(host, "://") {
		host = "https://" + host
	}
	if getenv("GITLAB_CI") != "" {
		job = getenv("CI_SERVER_URL")
	}
	return cmp.Or(host, job, "https://gitlab.com")
}

// isGitHubCloud reports whether GitHub runs a host: github.com and subdomains of ghe.com,
// not Enterprise servers.
func isGitHubCloud(host string) bool {
	return host == "github.com" || strings.HasSuffix(host, ".ghe.com")
}

// apiOf returns the default address of the REST API.
// https://docs.github.com/en/enterprise-server/rest/enterprise-admin
func apiOf(server *url.URL) string {
	if isGitHubCloud(server.Host) {
		return "https://api." + server.Host
	}
	return below(server, "api/v3").String()
}

func graphqlOf(api *url.URL) string {
	if base, found := strings.CutSuffix(api.Path, "/v3"); found {
		return below(&url.URL{Scheme: api.Scheme, Host: api.Host, Path: base}, "graphql").String()
	}
	return below(api, "graphql").String()
}

// parseServerURL reads the base URL of a server.
func parseServerURL(text string) (*url.URL, error) {
	place, err := url.Parse(text)
	if err != nil || place.Host == "" || place.Scheme != "https" && place.Scheme != "http" || place.User != nil {
		return nil, fmt.Errorf("%q, expected a URL such as https://github.example", redacted(text))
	}
	place.Path = strings.TrimRight(place.Path, "/")
	return &url.URL{Scheme: place.Scheme, Host: strings.ToLower(place.Host), Path: place.Path}, nil
}

// below returns a URL with a path added to a base URL's. Unlike with JoinPath, the path always
// begins with a slash.
func below(base *url.URL, path string) *url.URL {
	further := *base
	further.Path, further.RawPath = strings.TrimRight(base.Path, "/")+"/"+path, ""
	return &further
}

package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/web"
)

// credential is a token, and the only place that may receive it.
type credential struct {
	origin string // scheme://host[:port], or a host as a file names it
	prefix string // of the path
	scheme string // Basic, Bearer, token, gitLab or gitLabOAuth
	user   string // for Basic; "" for any user
	token  string
	from   string // where it is set, for messages
}

// anyUser is the user name for a token that is a password for any user.
const anyUser = "x-access-token"

func (c credential) login() string { return cmp.Or(c.user, anyUser) }

// As a password for git, GitLab accepts any kind of token. Its API accepts a personal token in
// a special header, and others as Bearer. https://docs.gitlab.com/api/rest/authentication/
const (
	gitLab      = "PRIVATE-TOKEN"
	gitLabOAuth = "OAuth2"
	gitLabUser  = "oauth2" // for git
)

type credentials []credential

// fromGH is where gh stores tokens.
const fromGH = "gh's hosts.yml"

// newCredentials collects the tokens of the environment, each for its own host:
//
//   - GITHUB_SERVER_URL, if that is github.com, as it is when not set, or below
//     ghe.com: GH_TOKEN, GITHUB_TOKEN, gh's hosts.yml, in gh's own order
//     (https://cli.github.com/manual/gh_help_environment);
//   - any other GITHUB_SERVER_URL: GH_ENTERPRISE_TOKEN, GITHUB_ENTERPRISE_TOKEN,
//     GITHUB_TOKEN (which is then a workflow's, for that server), gh's hosts.yml;
//     github.com has GH_TOKEN then;
//   - FORGEJO_SERVER_URL or GITEA_SERVER_URL: FORGEJO_TOKEN, GITEA_TOKEN. A runner
//     of Forgejo or Gitea may set GITHUB_SERVER_URL and GITHUB_TOKEN as well;
//   - GITLAB_HOST, the server of a job of GitLab CI, or else gitlab.com: GITLAB_TOKEN.
//     The job's own token (CI_JOB_TOKEN) is not used: it cannot open merge requests
//     (https://docs.gitlab.com/ci/jobs/ci_job_token/#job-token-access);
//   - any host without one of the above: Nix's access-tokens, then the files in which
//     git, curl and Nix look for logins.
func newCredentials(getenv func(string) string, endpoints githubEndpoints, ofNix NixLogins) (credentials, error) {
	hosts, err := readHosts(getenv)
	if err != nil {
		return nil, err
	}
	var all credentials
	add := func(place *url.URL, scheme string, candidates ...credential) {
		for _, c := range candidates {
			if c.token != "" {
				c.origin, c.prefix, c.scheme = originOf(place), place.Path, scheme
				all = append(all, c)
				return
			}
		}
	}
	accessTokens := readAccessTokens(ofNix.AccessTokens)
	variable := func(name string) credential { return credential{token: getenv(name), from: name} }
	stored := func(host string) credential {
		if token := hosts[host]; token != "" {
			return credential{token: token, from: fromGH}
		}
		return accessTokens.forHost(host)
	}

	server := endpoints.server.Host
	elsewhere := map[string][]credential{} // repositories of kind git on other hosts
	for host := range hosts {
		elsewhere[host] = []credential{stored(host)}
	}
	switch {
	case server == "github.com" && isForgejoRunner(getenv): // GITHUB_TOKEN is for the runner's own forge
		addGitHub(add, endpoints, variable("GH_TOKEN"), stored(server))
	case isGitHubCloud(server):
		addGitHub(add, endpoints, variable("GH_TOKEN"), variable("GITHUB_TOKEN"), stored(server))
	default:
		addGitHub(add, endpoints, variable("GH_ENTERPRISE_TOKEN"), variable("GITHUB_ENTERPRISE_TOKEN"),
			variable("GITHUB_TOKEN"), stored(server))
		elsewhere["github.com"] = []credential{variable("GH_TOKEN"), stored("github.com")}
	}
	delete(elsewhere, server)
	for host, candidates := range elsewhere {
		add(&url.URL{Scheme: "https", Host: host}, "Basic", candidates...)
	}

	if err := addForgejo(add, getenv); err != nil {
		return nil, err
	}
	if err := addGitLab(add, getenv, variable("GITLAB_TOKEN")); err != nil {
		return nil, err
	}
	all = append(all, accessTokens...)
	all = append(all, readNetrcs(getenv, ofNix.Netrc)...)
	// The longest prefix has precedence.
	slices.SortStableFunc(all, func(a, b credential) int { return len(b.prefix) - len(a.prefix) })
	return all, nil
}

// addForgejo adds the token of a Forgejo or Gitea for git, archives and its API.
func addForgejo(add func(*url.URL, string, ...credential), getenv func(string) string) error {
	names, own := []string{"FORGEJO_TOKEN", "GITEA_TOKEN"}, cmp.Or(getenv("FORGEJO_SERVER_URL"), getenv("GITEA_SERVER_URL"))
	if isForgejoRunner(getenv) {
		names, own = append(names, "GITHUB_TOKEN"), cmp.Or(own, getenv("GITHUB_SERVER_URL"))
	}
	if own == "" {
		return nil
	}
	place, err := parseServerURL(own)
	if err != nil {
		return fmt.Errorf("FORGEJO_SERVER_URL %w", err)
	}
	var candidates []credential
	for _, name := range names {
		candidates = append(candidates, credential{token: getenv(name), from: name})
	}
	add(place, "Basic", candidates...)
	add(below(place, "api/v1"), "token", candidates...)
	return nil
}

// addGitLab adds the token of a GitLab for git, archives and its API. A personal, project or
// group token is accepted like an OAuth token.
func addGitLab(add func(*url.URL, string, ...credential), getenv func(string) string, token credential) error {
	place, err := parseServerURL(gitlabServer(getenv))
	if err != nil {
		return fmt.Errorf("GITLAB_HOST or CI_SERVER_URL %w", err)
	}
	token.user = gitLabUser
	add(place, gitLabOAuth, token)
	return nil
}

// addGitHub adds one token for git, archives, REST and GraphQL of a server.
func addGitHub(add func(*url.URL, string, ...credential), endpoints githubEndpoints, candidates ...credential) {
	if endpoints.server.Host == "github.com" && endpoints.api.Host != "api.github.com" {
		// This API is not github.com's, so it must not receive github.com's token.
		add(endpoints.server, "Basic", candidates...)
		return
	}
	add(endpoints.api, "Bearer", candidates...)
	add(endpoints.graphql, "Bearer", candidates...)
	add(endpoints.server, "Basic", candidates...)
}

// forURL finds the token for a URL.
func (all credentials) forURL(place *url.URL) (credential, bool) {
	origin := originOf(place)
	for _, c := range all {
		rest, below := strings.CutPrefix(place.Path, c.prefix)
		if c.isAt(place, origin) && below && (rest == "" || rest[0] == '/') {
			return c, true
		}
	}
	return credential{}, false
}

// isAt reports whether a URL with this origin is below the credential's place. A host from a
// file may have any port. It needs TLS, except on the loopback interface.
func (c credential) isAt(place *url.URL, origin string) bool {
	if strings.Contains(c.origin, "://") {
		return c.origin == origin
	}
	if !strings.EqualFold(c.origin, place.Host) && !strings.EqualFold(c.origin, place.Hostname()) {
		return false
	}
	return place.Scheme == "https" || place.Scheme == "http" && web.IsLoopback(place.Host)
}

func originOf(place *url.URL) string {
	host := strings.ToLower(place.Host)
	switch place.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return place.Scheme + "://" + host
}

// readHosts reads the tokens that gh stores in its file, by host. Tokens in the system's
// keyring are not there.
func readHosts(getenv func(string) string) (map[string]string, error) {
	dir := getenv("GH_CONFIG_DIR")
	if config := getenv("XDG_CONFIG_HOME"); dir == "" && config != "" {
		dir = filepath.Join(config, "gh")
	}
	if home := getenv("HOME"); dir == "" && home != "" {
		dir = filepath.Join(home, ".config", "gh")
	}
	if dir == "" {
		return nil, nil
	}
	file := filepath.Join(dir, "hosts.yml")
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var stored map[string]struct {
		Token string `yaml:"oauth_token"`
		User  string `yaml:"user"`
		Users map[string]struct {
			Token string `yaml:"oauth_token"`
		} `yaml:"users"`
	}
	if yaml.Unmarshal(content, &stored) != nil { // the parser's error could quote a token
		return nil, fmt.Errorf("reading %s: not the YAML that gh writes", file)
	}
	tokens := map[string]string{}
	for host, entry := range stored {
		if token := cmp.Or(entry.Token, entry.Users[entry.User].Token); token != "" {
			tokens[strings.ToLower(host)] = token
		}
	}
	return tokens, nil
}

// ofGit matches the paths that git requests. https://git-scm.com/docs/http-protocol
var ofGit = lazyregexp.New(`/(info/refs|git-upload-pack)$`)

// authorised adds to each request the token for its URL. Each redirect is a new request, so no
// token follows it to another host.
type authorised struct {
	tokens credentials
	inner  http.RoundTripper
}

func (a *authorised) RoundTrip(request *http.Request) (*http.Response, error) {
	c, found := a.tokens.forURL(request.URL)
	if !found || request.Header.Get("Authorization") != "" {
		return a.inner.RoundTrip(request)
	}
	request = request.Clone(request.Context())
	switch {
	case c.scheme == "Basic", (c.scheme == gitLab || c.scheme == gitLabOAuth) && ofGit().MatchString(request.URL.Path):
		request.SetBasicAuth(c.login(), c.token)
	case c.scheme == gitLab:
		request.Header.Set(gitLab, c.token)
	case c.scheme == gitLabOAuth:
		request.Header.Set("Authorization", "Bearer "+c.token)
	default:
		request.Header.Set("Authorization", c.scheme+" "+c.token)
	}
	return a.inner.RoundTrip(request)
}

// checkRedirect refuses redirects from TLS to plain HTTP. It does not turn a POST into a GET,
// because the caller repeats it.
func checkRedirect(request *http.Request, via []*http.Request) error {
	last := via[len(via)-1]
	switch {
	case request.Method != last.Method:
		return http.ErrUseLastResponse
	case last.URL.Scheme == "https" && request.URL.Scheme != "https":
		return fmt.Errorf("%s redirects from https to http", last.URL.Host)
	case len(via) >= 10:
		return fmt.Errorf("%s redirects more than %d times", last.URL.Host, len(via)-1)
	}
	return nil
}

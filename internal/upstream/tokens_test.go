package upstream

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const hostsFile = `github.com:
    git_protocol: https
    users:
        someone:
            oauth_token: old
        monalisa:
            oauth_token: stored
    user: monalisa
github.example:
    oauth_token: enterprise
keyring.example:
    user: x
`

func TestTokenByURL(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hosts.yml"), []byte(hostsFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name        string
		environment map[string]string
		want        map[string]string // URL → scheme and token, "" none
	}{
		{"nothing set", nil, map[string]string{"https://github.com/o/r.git/git-upload-pack": "", "https://api.github.com/repos": ""}},
		{"a workflow of github.com", map[string]string{"GITHUB_TOKEN": "g", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_API_URL": "https://api.github.com"},
			map[string]string{
				"https://github.com/o/r.git/git-upload-pack": "Basic g", "https://api.github.com/repos": "Bearer g", "https://api.github.com/graphql": "Bearer g",
				"https://GitHub.com:443/o/r": "Basic g", "http://github.com/o/r": "", "http://api.github.com/repos": "",
				"https://codeload.github.com/x": "", "https://github.com.evil.example/o/r": "", "https://evil.example/github.com": "", "https://github.com:8443/": "",
				"https://codeberg.org/o/r": ""}},
		{"gh's order", map[string]string{"GITHUB_TOKEN": "g", "GH_TOKEN": "h", "GH_CONFIG_DIR": dir},
			map[string]string{"https://github.com/o/r": "Basic h", "https://github.example/o/r": "Basic enterprise"}},
		{"gh's file", map[string]string{"GH_CONFIG_DIR": dir},
			map[string]string{"https://api.github.com/repos": "Bearer stored", "https://github.example/o/r": "Basic enterprise", "https://keyring.example/": ""}},
		{"an Enterprise server", map[string]string{"GITHUB_SERVER_URL": "https://github.example", "GITHUB_API_URL": "https://github.example/api/v3",
			"GITHUB_TOKEN": "workflow", "GH_TOKEN": "cloud", "GH_CONFIG_DIR": dir},
			map[string]string{"https://github.example/o/r": "Basic workflow", "https://github.example/api/v3/repos": "Bearer workflow",
				"https://github.example/api/graphql": "Bearer workflow", "https://github.example/api/v3x": "Basic workflow",
				"https://github.com/o/r": "Basic cloud", "https://api.github.com/repos": ""}},
		{"an Enterprise server as gh has it", map[string]string{"GITHUB_SERVER_URL": "https://github.example", "GH_ENTERPRISE_TOKEN": "e", "GITHUB_TOKEN": "g"},
			map[string]string{"https://github.example/o/r": "Basic e", "https://github.com/o/r": ""}},
		{"a tenant of ghe.com", map[string]string{"GITHUB_SERVER_URL": "https://acme.ghe.com", "GH_TOKEN": "h", "GITHUB_TOKEN": "g"},
			map[string]string{"https://github.com/o/r": "", "https://acme.ghe.com/o/r": "Basic h", "https://api.acme.ghe.com/repos": "Bearer h"}},
		{"a Forgejo", map[string]string{"FORGEJO_SERVER_URL": "https://git.example/forge/", "FORGEJO_TOKEN": "f"},
			map[string]string{"https://git.example/forge/o/r.git/info/refs": "Basic f", "https://git.example/forge/api/v1/repos": "token f",
				"https://git.example/other/o/r": "", "https://codeberg.org/o/r": "", "https://github.com/o/r": ""}},
		{"a Forgejo's token alone", map[string]string{"FORGEJO_TOKEN": "f"}, map[string]string{"https://codeberg.org/o/r": "", "https://github.com/o/r": ""}},
		{"a job of Forgejo's runner", map[string]string{"GITEA_ACTIONS": "true", "GITHUB_SERVER_URL": "https://codeberg.org",
			"GITHUB_API_URL": "https://codeberg.org/api/v1", "GITHUB_TOKEN": "g"},
			map[string]string{"https://codeberg.org/o/r": "Basic g", "https://codeberg.org/api/v1/repos": "token g", "https://github.com/o/r": "", "https://api.github.com/repos": ""}},
		{"a GitLab's token alone", map[string]string{"GITLAB_TOKEN": "l"}, map[string]string{
			"https://gitlab.com/o/r.git/info/refs": "OAuth2 l", "https://gitlab.com/api/v4/user": "OAuth2 l", "https://github.com/o/r": "", "http://gitlab.com/o/r": ""}},
		{"a job of GitLab CI", map[string]string{"GITLAB_CI": "true", "CI_SERVER_URL": "https://git.example/gitlab", "GITLAB_TOKEN": "l", "CI_JOB_TOKEN": "j"},
			map[string]string{"https://git.example/gitlab/api/v4/user": "OAuth2 l", "https://git.example/other": "", "https://gitlab.com/o/r": ""}},
		{"another GitLab", map[string]string{"GITLAB_HOST": "git.example", "GITLAB_TOKEN": "l"},
			map[string]string{"https://git.example/o/r": "OAuth2 l", "https://gitlab.com/o/r": ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := newClient(t, "", test.environment)
			for where, want := range test.want {
				place, err := url.Parse(where)
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				if found, sent := c.tokens.forURL(place); sent {
					got = found.scheme + " " + found.token
				}
				if got != want {
					t.Errorf("%s: %q, want %q", where, got, want)
				}
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		environment          map[string]string
		server, api, graphQL string
	}{
		{nil, "https://github.com", "https://api.github.com", "https://api.github.com/graphql"},
		{map[string]string{"GITHUB_SERVER_URL": "https://ghe.example/"}, "https://ghe.example", "https://ghe.example/api/v3", "https://ghe.example/api/graphql"},
		{map[string]string{"GITHUB_SERVER_URL": "https://a.ghe.com"}, "https://a.ghe.com", "https://api.a.ghe.com", "https://api.a.ghe.com/graphql"},
		{map[string]string{"FORGEJO_ACTIONS": "true", "GITHUB_SERVER_URL": "https://codeberg.org"}, "https://github.com", "https://api.github.com", "https://api.github.com/graphql"},
	} {
		c, _ := newClient(t, "", test.environment)
		if p := c.endpoints; p.server.String() != test.server || p.api.String() != test.api || p.graphql.String() != test.graphQL {
			t.Errorf("%v: %s, %s, %s", test.environment, p.server, p.api, p.graphql)
		}
	}
	for _, wrong := range []map[string]string{{"GITHUB_SERVER_URL": "github.example"}, {"GITHUB_API_URL": "https://user:secret@x"}, {"GITHUB_SERVER_URL": "file:///x"},
		{"FORGEJO_SERVER_URL": "x"}, {"GOPROXY": "ftp://x"}} {
		_, err := New(Config{Getenv: func(name string) string { return wrong[name] }})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: error %v", wrong, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hosts.yml"), []byte("github.com: [oauth_token: secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Getenv: func(name string) string { return map[string]string{"GH_CONFIG_DIR": dir}[name] }}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

// A redirect and a Link header to another host see no token.
func TestTokenStaysWithItsHost(t *testing.T) {
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.Path+" "+r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte("[]"))
	}))
	defer other.Close()
	var own []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own = append(own, r.URL.RequestURI()+" "+r.Header.Get("Authorization"))
		switch {
		case strings.HasPrefix(r.URL.Path, "/api/v3/repos/moved/"), strings.HasSuffix(r.URL.Path, "/info/refs"):
			http.Redirect(w, r, other.URL+"/elsewhere"+r.URL.Path, http.StatusMovedPermanently)
		case r.Method == http.MethodPost:
			http.Redirect(w, r, other.URL+"/post", http.StatusTemporaryRedirect)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Link", "<"+other.URL+"/next?page=2>; rel=\"next\"")
			w.Write([]byte("[]"))
		}
	}))
	defer server.Close()
	c, _ := newClient(t, t.TempDir(), map[string]string{"GITHUB_SERVER_URL": server.URL, "GITHUB_TOKEN": "secret"})

	openGitHub(t, c, "moved/r").Release(t.Context(), "v1")
	if len(seen) != 1 || strings.TrimSpace(seen[0]) != "/elsewhere/api/v3/repos/moved/r/releases" {
		t.Errorf("the other host saw %q", seen)
	}
	seen = nil
	finder := openGitHub(t, c, "o/r")
	finder.Release(t.Context(), "v1")
	finder.Release(t.Context(), "v2")
	if len(seen) != 0 {
		t.Errorf("the other host saw %q: a Link header was followed to it", seen)
	}
	if _, err := finder.Tags(t.Context()); err == nil {
		t.Error("tags of a host that is no git server")
	}
	for _, request := range seen {
		if !strings.HasSuffix(request, " ") {
			t.Errorf("the other host saw %q", request)
		}
	}
	for _, request := range own {
		if strings.HasSuffix(request, " ") {
			t.Errorf("without the token: %s", request)
		}
	}
}

func TestRedirectOutOfTLS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("left TLS") }))
	defer plain.Close()
	server := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer server.Close()
	client := server.Client()
	client.CheckRedirect = checkRedirect
	if _, err := client.Get(server.URL); err == nil || !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("error %v", err)
	}
}

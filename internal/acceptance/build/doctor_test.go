package build

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/libresh/libre/internal/testkit"
)

// doctor finds a token that a forge refuses, before bump needs it. It names the setting and
// never prints the token.
func TestDoctorChecksTheTokensOfForges(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, apps(app("one", `package = pkgs.writeText "one" "1";`)))
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch sent := r.Header.Get("Authorization"); {
		case strings.HasSuffix(sent, " good-secret"):
		case strings.HasSuffix(sent, " scoped-secret"):
			w.WriteHeader(http.StatusForbidden)
		case strings.HasSuffix(sent, " ill-secret"):
			w.WriteHeader(http.StatusBadGateway)
		default:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"message":"Bad credentials"}`)
		}
	}))
	t.Cleanup(forge.Close)
	host := strings.TrimPrefix(forge.URL, "http://")
	hosts := t.TempDir()
	if err := os.WriteFile(filepath.Join(hosts, "hosts.yml"), []byte(host+":\n  oauth_token: old-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	github, forgejo, gitlab := "GITHUB_SERVER_URL="+forge.URL, "FORGEJO_SERVER_URL="+forge.URL, "GITLAB_HOST="+forge.URL
	for _, test := range []struct {
		env  []string
		code int
		want string // "" for no line about a token
	}{
		{nil, 0, ""},
		{[]string{github, "GITHUB_TOKEN=good-secret"}, 0, "ok\t" + host + " accepts the token from GITHUB_TOKEN\t\n"},
		{[]string{github, "GITHUB_TOKEN=old-secret"}, 4, "wrong\t" + host + " refuses the token of GITHUB_TOKEN: it may have expired\tcreate a token at " + forge.URL + "/settings/tokens, and set GITHUB_TOKEN\n"},
		{[]string{github, "GH_ENTERPRISE_TOKEN=old-secret", "GITHUB_TOKEN=good-secret"}, 4, "wrong\t" + host + " refuses the token of GH_ENTERPRISE_TOKEN"},
		{[]string{github, "GH_CONFIG_DIR=" + hosts}, 4, "refuses the token of gh's hosts.yml: it may have expired\tgh auth login --hostname " + host + "\n"},
		{[]string{forgejo, "FORGEJO_TOKEN=scoped-secret"}, 0, "ok\t" + host + " accepts the token from FORGEJO_TOKEN\t\n"},
		{[]string{forgejo, "GITEA_TOKEN=old-secret"}, 4, "create a token at " + forge.URL + "/user/settings/applications, and set GITEA_TOKEN\n"},
		{[]string{forgejo, "FORGEJO_TOKEN=ill-secret"}, 0, "note\tcannot check the token from FORGEJO_TOKEN at " + host + ": " + host + " answers 502 Bad Gateway\t"},
		{[]string{gitlab, "GITLAB_TOKEN=scoped-secret"}, 0, "ok\t" + host + " accepts the token from GITLAB_TOKEN\t\n"},
		{[]string{gitlab, "GITLAB_TOKEN=old-secret"}, 4, "create a token at " + forge.URL + "/-/user_settings/personal_access_tokens, and set GITLAB_TOKEN\n"},
		{[]string{"GITHUB_SERVER_URL=http://127.0.0.1:1", "GITHUB_TOKEN=old-secret"}, 0, "note\tcannot check the token from GITHUB_TOKEN at 127.0.0.1:1: "},
		{[]string{"GITHUB_SERVER_URL=nonsense"}, 1, "wrong\tGITHUB_SERVER_URL \"nonsense\", expected a URL"},
	} {
		cmd := c.command("doctor")
		cmd.Env = append(slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "GH_") || strings.HasPrefix(v, "GITHUB_") }), "GH_CONFIG_DIR="+t.TempDir())
		cmd.Env = append(cmd.Env, test.env...)
		stdout, stderr, _ := testkit.Output(cmd)
		if code := cmd.ProcessState.ExitCode(); code != test.code || test.want == "" && strings.Contains(stdout, "forge token") || test.want != "" && !strings.Contains(stdout, "forge token\t") || !strings.Contains(stdout, test.want) {
			t.Errorf("%s: exit code %d, want %d and %q in\n%s%s", test.env, code, test.code, test.want, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, "-secret") {
			t.Errorf("%s: the token is shown:\n%s%s", test.env, stdout, stderr)
		}
	}
}

// For registries where repositories must be created first, doctor tries a repository of the
// catalogue.
func TestDoctorTriesARepositoryThatExists(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, apps(app("one", `package = pkgs.writeText "one" "1";`), app("two", `package = pkgs.writeText "two" "2";`)))
	for exists, want := range map[string]string{
		"one-default": "you may push", "one-debug": "you may push", "two-default": "you may push",
		"other": "create the repository",
	} {
		inner := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" || strings.HasPrefix(r.URL.Path, "/v2/apps/"+exists+"/") {
				inner.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}`)
		}))
		t.Cleanup(server.Close)
		cmd := c.command("doctor", "--to", strings.TrimPrefix(server.URL, "http://")+"/apps")
		stdout, stderr, _ := testkit.Output(cmd)
		missing := exists == "other"
		if !strings.Contains(stdout, want) || missing != (cmd.ProcessState.ExitCode() == 1) {
			t.Errorf("%s: expected %q in\n%s%s", exists, want, stdout, stderr)
		}
		if missing && !strings.Contains(stdout, "registry\twrong\t") || missing && !strings.Contains(stdout, "NAME_UNKNOWN: no such repository") {
			t.Errorf("which repository, and why:\n%s", stdout)
		}
	}
}

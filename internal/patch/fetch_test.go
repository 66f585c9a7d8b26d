package patch

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

func client(t *testing.T, environment map[string]string) *upstream.Client {
	t.Helper()
	client, err := upstream.New(upstream.Config{Getenv: func(name string) string { return environment[name] }})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// The repository's own server may be private, and may answer with any type.
func TestFetchOfAServerThatAnswersWithAnything(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fix.patch":
			fmt.Fprint(w, mail)
		case "/page":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<!DOCTYPE html><html>Sign in</html>")
		case "/endless":
			for range 3 * Most / len(simple) {
				if _, err := fmt.Fprint(w, simple); err != nil {
					return
				}
			}
		case "/short":
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, simple)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for _, test := range []struct{ address, origin, want string }{
		{"/fix.patch?private_token=s3cret#x", "/fix.patch", ""},
		{"/fix.patch?id=4f2a9c1&token=s3cret", "/fix.patch?id=4f2a9c1", ""},
		{"/page", "", "it is a web page"},
		{"/endless", "", "it has more than 4194304 bytes"},
		{"/short", "", "unexpected EOF"},
		{"/none", "", "not found, or private"},
	} {
		patch, err := Fetch(context.Background(), client(t, nil), ParsePlace(server.URL+test.address), server.URL+"/o/r")
		switch {
		case err != nil && (test.want == "" || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("%s: %v, want %q", test.address, err, test.want)
		case err == nil && (test.want != "" || patch.Origin != server.URL+test.origin || len(patch.Notes) != 1 || strings.Contains(patch.Notes[0], "s3cret")):
			t.Errorf("%s: %+v, want %q", test.address, patch, test.want)
		}
	}
}

// A private repository needs the login of its source. Neither the user's git settings nor those
// of a pull request change what is read.
func TestFetchOfACommitOfAPrivateRepository(t *testing.T) {
	testkit.Require(t, "git")
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	settings := "[diff]\n\tnoprefix = true\n\tmnemonicPrefix = true\n\texternal = false\n\tcontext = 0\n\trenames = copies\n\tindentHeuristic = false\n[color]\n\tui = always\n[core]\n\tquotePath = false\n[format]\n\tpretty = oneline\n[log]\n\tshowSignature = true\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	forge := forgetest.GitHub(t)
	forge.AddToken("t0ken", false)
	repo := forge.AddRepo("suite/notes")
	repo.Commit(map[string]string{"src/page.txt": "# Notes\nhello\nend\n", "long.txt": strings.Repeat("same\n", 50)})
	id := repo.Commit(map[string]string{"src/page.txt": "# Notes\nbonjour\nend\n", "long.txt": "", "src/long.txt": strings.Repeat("same\n", 50)})
	repo.SetPrivate()
	place, err := url.Parse(repo.CloneURL())
	if err != nil {
		t.Fatal(err)
	}
	repository := strings.TrimSuffix(place.String(), ".git")
	if _, err := Fetch(context.Background(), client(t, forge.Environment()), Place{Commit: id[:8]}, repository); err == nil || !strings.Contains(err.Error(), "not found, or private: set GITHUB_TOKEN") {
		t.Errorf("without a login: %v", err)
	}
	environment := forge.Environment()
	environment["GITHUB_TOKEN"] = "t0ken"
	for _, from := range []Place{{Commit: id[:8]}, {URL: repository + "/commit/" + id}, {URL: repository + "/commit/" + id[:10] + ".patch"}} {
		patch, err := Fetch(context.Background(), client(t, environment), from, repository)
		if err != nil {
			t.Fatal(err)
		}
		if patch.Commit != id || patch.Origin != repository+"/commit/"+id || strings.Join(patch.Files, " ") != "long.txt src/long.txt src/page.txt" || !strings.Contains(string(patch.Text), "\n # Notes\n-hello\n+bonjour\n end\n") {
			t.Errorf("%s: %+v\n%s", from, patch, patch.Text)
		}
	}
}

// An error names the URL once, whichever part of libre cannot fetch it.
func TestFetchNamesTheURLOnce(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, test := range []struct{ address, repository string }{
		{"https://127.0.0.1:1/fix.patch", ""}, {"https://localhost:1/fix.patch", ""}, {"https://[::1]:1/fix.patch", ""},
		{server.URL + "/none.patch", server.URL + "/o/r"}, {"http://example.org/fix.patch", ""}, {"https://user:s3cret@example.org/fix.patch", ""},
		{"http://127.0.0.1:1/fix.patch", "http://127.0.0.1:1/o/r"},
	} {
		from := ParsePlace(test.address)
		_, err := Fetch(context.Background(), client(t, nil), from, test.repository)
		if err == nil || strings.Count(err.Error(), from.String()) != 1 || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", test.address, err)
		}
	}
}

func TestParsePlace(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "abcdef1", "a file")
	for argument, want := range map[string]Place{
		"https://x/y.patch": {URL: "https://x/y.patch"}, "4f2a9c1": {Commit: "4f2a9c1"}, "abcdef1": {File: "abcdef1"},
		"abc.patch": {File: "abc.patch"}, "4f2a9": {File: "4f2a9"}, "../4f2a9c1": {File: "../4f2a9c1"}, "4F2A9C1": {File: "4F2A9C1"},
	} {
		if got := ParsePlace(argument); got != want {
			t.Errorf("%s: %+v", argument, got)
		}
	}
}

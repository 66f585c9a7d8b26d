package build

import (
	"context"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// album returns a built catalogue with testdata/album.
func album(t *testing.T) catalogue {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir("testdata/album", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, "testdata/")] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c := newCatalogue(t, files)
	c.libre(t, "build", "album")
	return c
}

// browser returns an HTTP client that keeps cookies, and resolves names in .localhost to this
// machine.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err == nil && strings.HasSuffix(host, ".localhost") {
			address = "127.0.0.1:" + port
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}}
}

var hiddenInput = regexp.MustCompile(`name="id" value="([^"]+)"`)

// logIn follows the app's login to the provider, and back.
func (r *appRun) logIn(t *testing.T, client *http.Client, password string) string {
	t.Helper()
	response, err := client.Get(r.url + "/login")
	if err != nil {
		t.Fatal(err)
	}
	status, page, err := read(response, nil)
	id := hiddenInput.FindStringSubmatch(page)
	if err != nil || status != http.StatusOK || id == nil || !strings.HasSuffix(response.Request.URL.Hostname(), ".localhost") {
		t.Fatalf("the login page at %s: %d %v\n%s", response.Request.URL, status, err, page)
	}
	form := url.Values{"id": {id[1]}, "name": {"admin"}, "password": {password}}
	response, err = client.PostForm(response.Request.URL.String(), form)
	_, page, err = read(response, err)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func send(t *testing.T, client *http.Client, method, address, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	status, text, err := read(client.Do(request))
	if err != nil {
		t.Fatal(err)
	}
	return status, text
}

// secretOf returns a secret of a run.
func secretOf(t *testing.T, state, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(state, "libre/run/album/secrets.env"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), name+"="); found {
			return value
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}

// An app that needs a bucket and an OpenID provider runs without images of them. Its user logs
// in by the code flow, uploads photos through the app and by a presigned URL, and finds them
// again after a restart. Nobody else can read them.
func TestRunAppWithBucketAndLogin(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.Require(t, "nix", "git", "go", "busybox")
	c := album(t)
	for _, by := range slices.Sorted(maps.Keys(runs)) {
		t.Run(by, func(t *testing.T) {
			testkit.Require(t, by)
			runs[by](t)
			state := stateHome(t)
			first := startApp(t, c, state, "album", "--engine", by, "--keep")
			if want := "the scheduled job tidy (0 3 * * *) does not run here"; !strings.Contains(first.Log.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, first.Log)
			}
			client, stranger := browser(t), browser(t)
			if page := first.logIn(t, stranger, "wrong"); !strings.Contains(page, "The name or the password is wrong.") {
				t.Errorf("with a wrong password:\n%s", page)
			}
			if page := first.logIn(t, client, secretOf(t, state, "LIBRE_OIDC_PASSWORD")); page != "user: admin@example.org\n" {
				t.Fatalf("after the login:\n%s", page)
			}
			if status, text := send(t, client, http.MethodPost, first.url+"/upload?key=one", "the first photo"); status != http.StatusOK {
				t.Errorf("an upload through the app: %d %s", status, text)
			}
			_, address := send(t, client, http.MethodGet, first.url+"/upload?key=two", "")
			if status, text := send(t, stranger, http.MethodPut, address, "the second photo"); status != http.StatusOK {
				t.Errorf("an upload to %s: %d %s", address, status, text)
			}
			for _, address := range []string{first.url + "/photos/one", strings.Replace(address, "two", "one", 1), strings.SplitN(address, "?", 2)[0]} {
				if status, text := send(t, stranger, http.MethodGet, address, ""); status != http.StatusForbidden {
					t.Errorf("a stranger gets %s: %d %s", address, status, text)
				}
			}
			first.end(t)
			nothingLeft(t, state)

			last := startApp(t, c, state, "album", "--engine", by)
			client = browser(t)
			last.logIn(t, client, secretOf(t, state, "LIBRE_OIDC_PASSWORD"))
			for key, want := range map[string]string{"one": "the first photo", "two": "the second photo"} {
				if status, text := send(t, client, http.MethodGet, last.url+"/photos/"+key, ""); status != http.StatusOK || text != want {
					t.Errorf("photo %s after a restart: %d %s", key, status, text)
				}
			}
			password := secretOf(t, state, "LIBRE_OIDC_PASSWORD")
			last.end(t)
			if strings.Contains(last.Log.String(), password) {
				t.Errorf("the password is in the log:\n%s", last.Log)
			}
			if left, err := os.ReadDir(filepath.Join(state, "libre", "run")); err != nil || len(left) > 0 {
				t.Errorf("data is left without --keep: %v, %v", left, err)
			}
		})
	}
}

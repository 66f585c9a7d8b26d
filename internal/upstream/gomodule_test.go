package upstream

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/semver"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

// goProxyDir writes a module proxy's files: go.mod by version.
func goProxyDir(t *testing.T, escapedPath string, mods map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	at := filepath.Join(dir, escapedPath, "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(at, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var list strings.Builder
	for version, mod := range mods {
		fmt.Fprintln(&list, version)
		write(version+".info", `{"Version":"`+version+`","Time":"2025-01-02T00:00:00Z"}`)
		write(version+".mod", mod)
	}
	write("list", list.String())
	return dir
}

func openModule(t *testing.T, path string, environment map[string]string) *goModule {
	t.Helper()
	c, _ := newClient(t, t.TempDir(), environment)
	c.goVersion = "1.26.8"
	return open(t, c, Source{Kind: "goModule", Location: path}).(*goModule)
}

func TestGoModule(t *testing.T) {
	const path = "example.org/Some/app/v2"
	mod := func(lines string) string { return "module " + path + "\n" + lines }
	dir := goProxyDir(t, "example.org/!some/app/v2", map[string]string{
		"v2.0.0":          mod("go 1.20\n"),
		"v2.1.0":          mod("go 1.26\n"),
		"v2.2.0":          mod("go 1.27\ntoolchain go1.28.1\nunknown directive\n"),
		"v2.3.0":          mod("go 1.20\n"),
		"v2.3.1":          mod("go 1.20\nretract (\n\t[v2.3.0, v2.3.1] // leaks \x1b[31mtokens\n\tv2.1.0\n)\n"),
		"v2.4.0-rc.1":     mod("go 1.26.8\n"),
		"v3.0.0":          mod(""),
		"v1.9.9":          mod(""),
		"latest":          "",
		"v2.0.0-beta\x01": "",
	})
	m := openModule(t, path, map[string]string{"GOPROXY": "file://" + dir})
	want := []Tag{{Name: "v2.0.0"}, {Name: "v2.1.0"}, {Name: "v2.2.0"}, {Name: "v2.3.0"}, {Name: "v2.3.1"}, {Name: "v2.4.0-rc.1"}}
	if got := tagsOf(t, m); !slices.Equal(got, want) {
		t.Errorf("versions %v, want %v: of this major version alone", got, want)
	}
	for version, reason := range map[string]string{
		"v2.0.0": "", "v2.1.0": "retracted", "v2.2.0": "needs go 1.27, this machine has 1.26.8",
		"v2.3.0": "retracted: leaks \x1b[31mtokens", "v2.3.1": "retracted: leaks \x1b[31mtokens", "v2.4.0-rc.1": "",
	} {
		got := release(t, m, version)
		if got == nil || got.Reason+got.Needs != reason || got.Date.Year() != 2025 || got.Prerelease != (version == "v2.4.0-rc.1") {
			t.Errorf("%s: %+v, want the reason %q", version, got, reason)
		}
	}
	if got := release(t, m, "v2.9.9"); got != nil {
		t.Errorf("v2.9.9: %+v", got)
	}
	for _, hostile := range []string{"../../../../etc/passwd", "v1.0.0/../x", "$(x)", ""} {
		if got, err := m.Release(t.Context(), hostile); got != nil {
			t.Errorf("%q: %+v, %v", hostile, got, err)
		}
	}
}

func TestGoProxies(t *testing.T) {
	dir := goProxyDir(t, "example.org/m", map[string]string{"v1.0.0": "module example.org/m\n"})
	has := "file://" + dir
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		switch {
		case strings.HasPrefix(r.URL.Path, "/gone/"):
			w.WriteHeader(http.StatusGone)
		case strings.HasPrefix(r.URL.Path, "/broken/"):
			w.WriteHeader(http.StatusNotImplemented)
		case strings.HasPrefix(r.URL.Path, "/closed/"):
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/denies/"):
			http.Error(w, "module is on the deny list", http.StatusForbidden)
		default:
			http.StripPrefix("/has", http.FileServer(http.Dir(dir))).ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	gone, broken, closed, denies, works := server.URL+"/gone", server.URL+"/broken", server.URL+"/closed", server.URL+"/denies", server.URL+"/has"
	password := strings.Replace(server.URL, "://", "://user:hunter2@", 1) + "/broken"
	for _, test := range []struct {
		environment map[string]string
		wrong       string
	}{
		{map[string]string{"GOPROXY": works}, ""},
		{map[string]string{"GOPROXY": gone + "," + has}, ""},
		{map[string]string{"GOPROXY": " " + gone + " , " + works + ",off"}, ""},
		{map[string]string{"GOPROXY": broken + "," + has}, "501 Not Implemented"},
		{map[string]string{"GOPROXY": broken + "|" + has}, ""},
		{map[string]string{"GOPROXY": password + "," + has}, "501 Not Implemented"},
		{map[string]string{"GOPROXY": gone + "|off"}, "GOPROXY is off"},
		{map[string]string{"GOPROXY": "off"}, "GOPROXY is off"},
		{map[string]string{"GOPROXY": gone}, "not found"},
		{map[string]string{"GOPROXY": closed + "," + has}, "401 Unauthorized; set user and password in GOPROXY"},
		{map[string]string{"GOPROXY": denies + "," + has}, "403 Forbidden: module is on the deny list; this proxy does not serve the module"},
		{map[string]string{"GOPROXY": "file:///nowhere," + works}, ""},
	} {
		m := openModule(t, "example.org/m", test.environment)
		found, err := m.Tags(t.Context())
		if test.wrong == "" && (err != nil || len(found.All) != 1) || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
			t.Errorf("%v: %v, %v, want %q", test.environment, found, err, test.wrong)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("error %v", err)
		}
	}

	asked = nil
	m := openModule(t, "example.org/m", map[string]string{"GOPROXY": works})
	tagsOf(t, m)
	tagsOf(t, m)
	if len(asked) != 1 {
		t.Errorf("asked %v, want one request where nothing is new", asked)
	}
}

func TestGoSettings(t *testing.T) {
	config := t.TempDir()
	if err := os.MkdirAll(filepath.Join(config, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "go", "env"), []byte("# mine\nGOPROXY=https://stored.example\nGOPRIVATE=*.private.example\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		environment map[string]string
		proxies     string
		private     string
	}{
		{nil, "", ""},
		{map[string]string{"GOPROXY": "a.example/x|https://b.example,off,https://c.example"}, "https://a.example/x| https://b.example off", ""},
		{map[string]string{"XDG_CONFIG_HOME": config}, "https://stored.example", "*.private.example"},
		{map[string]string{"XDG_CONFIG_HOME": config, "GOPROXY": "direct", "GONOPROXY": "none"}, "direct", "none"},
		{map[string]string{"XDG_CONFIG_HOME": config, "GOENV": "off"}, "", ""},
		{map[string]string{"GOENV": filepath.Join(config, "go", "env")}, "https://stored.example", "*.private.example"},
	} {
		got, err := newGoSettings(func(name string) string { return test.environment[name] })
		var proxies []string
		for _, p := range got.proxies {
			text := "off"
			if p.direct {
				text = "direct"
			} else if p.place != nil {
				text = p.place.String()
			}
			if p.onErrors {
				text += "|"
			}
			proxies = append(proxies, text)
		}
		if err != nil || strings.Join(proxies, " ") != test.proxies || got.noProxies != test.private {
			t.Errorf("%v: %v, %q, %v", test.environment, proxies, got.noProxies, err)
		}
	}
	if usual, err := usualGoProxies(); err != nil || len(usual) < 2 || !usual[len(usual)-1].direct {
		t.Errorf("without a setting: %v, %v", usual, err)
	}
	c, _ := newClient(t, "", map[string]string{"GOPROXY": "https://x", "GOPRIVATE": "*.private.example"})
	if origins, _, err := c.origins("git.private.example/m"); err != nil || len(origins) != 1 || origins[0] != goOrigin(goDirect{"git.private.example/m", DefaultDeadline}) {
		t.Errorf("a private module is asked for at %v, %v", origins, err)
	}
	if links := open(t, c, Source{Kind: "goModule", Location: "git.private.example/m"}).Links("v1", "v2"); links != (Links{}) {
		t.Errorf("links of a private module: %+v", links)
	}
}

// A module straight from its repository, through go and git.
func TestGoDirect(t *testing.T) {
	testkit.Require(t, "go")
	forge := forgetest.Forgejo(t)
	repo := forge.AddRepo("o/m")
	mod := "module git.example/o/m.git\n\ngo 1.20\n"
	repo.Tag("v1.0.0", repo.Commit(map[string]string{"go.mod": mod}))
	repo.Tag("v1.1.0", repo.Commit(map[string]string{"go.mod": mod + "\nretract v1.0.0 // too old\n"}))
	for name, value := range map[string]string{
		"GOMODCACHE": t.TempDir(), "GOFLAGS": "-modcacherw", "GONOSUMDB": "*", "GOINSECURE": "git.example", "GOVCS": "*:git",
		"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "url." + repo.Dir + ".insteadOf", "GIT_CONFIG_VALUE_0": "https://git.example/o/m", "GIT_ALLOW_PROTOCOL": "https:file",
	} {
		t.Setenv(name, value)
	}
	t.Cleanup(func() { exec.Command("go", "clean", "-modcache").Run() })
	m := openModule(t, "git.example/o/m.git", map[string]string{"GOPROXY": "direct"})
	if got := tagsOf(t, m); !slices.Equal(got, []Tag{{Name: "v1.0.0"}, {Name: "v1.1.0"}}) {
		t.Errorf("versions %v", got)
	}
	if got := release(t, m, "v1.0.0"); got == nil || got.Reason != "retracted: too old" || got.Date.IsZero() {
		t.Errorf("v1.0.0: %+v", got)
	}
	if got := release(t, m, "v1.1.0"); got == nil || got.Reason != "" {
		t.Errorf("v1.1.0: %+v", got)
	}
}

// The real proxy, with the user's own settings.
func TestRealGoProxy(t *testing.T) {
	c, err := New(Config{CacheDir: t.TempDir(), GoVersion: "1.20"})
	if err != nil {
		t.Fatal(err)
	}
	pocketbase := open(t, c, Source{Kind: "goModule", Location: "github.com/pocketbase/pocketbase"})
	found, err := pocketbase.Tags(t.Context())
	if err != nil {
		if os.Getenv("LIBRE_TEST_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skipf("no module proxy: %v", err)
	}
	if len(found.All) == 0 { // a mirror may list few of them
		t.Errorf("%d versions", len(found.All))
	}
	for _, tag := range found.All {
		if semver.Major(tag.Name) != "v0" && semver.Major(tag.Name) != "v1" {
			t.Errorf("version %s is another module's", tag.Name)
		}
	}
	if got := release(t, pocketbase, "v0.22.0"); got == nil || got.Date.Year() != 2024 || !strings.HasPrefix(got.Needs, "needs go 1.2") {
		t.Errorf("v0.22.0: %+v", got)
	}
}

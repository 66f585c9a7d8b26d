package upstream

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

func TestTagsOverHTTP(t *testing.T) {
	forge := forgetest.GitHub(t)
	repo := forge.AddRepo("suitenumerique/docs")
	first := repo.Commit(map[string]string{"VERSION": "1\n"})
	second := repo.Commit(map[string]string{"VERSION": "2\n"})
	repo.Tag("v1.0.0", first)
	repo.TagAnnotated("v2.0.0", second)
	repo.Branch("v2.0.0", first) // a branch of the same name is no tag
	c, _ := newClient(t, "", forge.Environment())
	finder := openGitHub(t, c, "suitenumerique/docs")

	want := []Tag{{"v1.0.0", first}, {"v2.0.0", second}}
	if got := tagsOf(t, finder); !slices.Equal(got, want) {
		t.Errorf("tags %v, want %v", got, want)
	}
	if got := asked(forge); !slices.Equal(got, []string{"POST /suitenumerique/docs.git/git-upload-pack"}) {
		t.Errorf("asked %v, want one request", got)
	}

	repo.Tag("v1.0.0", second)
	repo.DeleteTag("v2.0.0")
	if got, want := tagsOf(t, finder), []Tag{{"v1.0.0", second}}; !slices.Equal(got, want) {
		t.Errorf("tags %v, want %v: one moved, one is gone", got, want)
	}
}

func TestTagsOfGitPlaces(t *testing.T) {
	forge := forgetest.Forgejo(t)
	repo := forge.AddRepo("miniflux/v2")
	commit := repo.Commit(map[string]string{"go.mod": "module miniflux.app/v2\n"})
	repo.TagAnnotated("2.0.0", commit)
	c, _ := newClient(t, "")
	for _, location := range []string{repo.CloneURL(), strings.TrimSuffix(repo.CloneURL(), ".git") + "/", repo.Dir, "file://" + repo.Dir} {
		finder := open(t, c, Source{Kind: "git", Location: location})
		if got := tagsOf(t, finder); !slices.Equal(got, []Tag{{"2.0.0", commit}}) {
			t.Errorf("%s: tags %v", location, got)
		}
		if found := release(t, finder, "2.0.0"); found != nil {
			t.Errorf("%s: release %v of a place without any", location, found)
		}
		if links := finder.Links("1", "2"); links != (Links{}) {
			t.Errorf("%s: links %v", location, links)
		}
	}
}

func TestTagsThroughSSH(t *testing.T) {
	forge := forgetest.GitHub(t)
	repo := forge.AddRepo("a/b")
	repo.Tag("v1", repo.Commit(map[string]string{"a": "b"}))
	// This ssh runs the remote command here, and records its arguments.
	dir := t.TempDir()
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + dir + "/arguments\nfor last; do :; done\nexec sh -c \"$last\"\n"
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_SSH", filepath.Join(dir, "ssh"))
	c, _ := newClient(t, "")
	for _, location := range []string{"ssh://git@git.example" + repo.Dir, "git@git.example:" + repo.Dir} {
		if got := tagsOf(t, open(t, c, Source{Kind: "git", Location: location})); len(got) != 1 {
			t.Errorf("%s: tags %v", location, got)
		}
		given, err := os.ReadFile(filepath.Join(dir, "arguments"))
		if err != nil || !strings.Contains(string(given), "git@git.example\n") {
			t.Errorf("%s: ssh was given %q, %v", location, given, err)
		}
	}
}

func TestPlacesThatAreNone(t *testing.T) {
	testkit.Require(t, "git")
	c, _ := newClient(t, "")
	ran := filepath.Join(t.TempDir(), "ran")
	for _, location := range []string{"", "relative/path", "ext::sh -c touch% " + ran, "--upload-pack=touch " + ran, "https://",
		"-oProxyCommand=x:y", "host:path", "ssh://-oProxyCommand=touch$IFS" + ran + "/x", "/nowhere/at/all", "file:///nowhere", "a@b::c"} {
		if tags, err := open(t, c, Source{Kind: "git", Location: location}).Tags(t.Context()); err == nil {
			t.Errorf("%q: tags %v, want an error", location, tags)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error of many lines: %v", location, err)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a location was run")
	}
}

func TestRenamedRepository(t *testing.T) {
	forge := forgetest.GitHub(t)
	repo := forge.AddRepo("numerique-gouv/impress")
	commit := repo.Commit(map[string]string{"a": "b"})
	repo.Tag("v1", commit)
	repo.Rename("suitenumerique/docs")
	repo.AddRelease(forgetest.Release{Tag: "v1", Notes: "First"})
	c, _ := newClient(t, t.TempDir(), forge.Environment())
	finder := openGitHub(t, c, "numerique-gouv/impress")
	found, err := finder.Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found.All, []Tag{{"v1", commit}}) || found.MovedTo != forge.URL+"/suitenumerique/docs" {
		t.Errorf("found %+v", found)
	}
	if got := release(t, finder, "v1"); got == nil || got.Notes != "First" {
		t.Errorf("release %+v, want the moved repository's", got)
	}
}

func TestPrivateRepository(t *testing.T) {
	forge := forgetest.GitHub(t)
	repo := forge.AddRepo("lasuite/secret")
	repo.Tag("v1", repo.Commit(map[string]string{"a": "b"}))
	repo.AddRelease(forgetest.Release{Tag: "v1"})
	repo.SetPrivate()
	forge.AddToken("good", false)
	for _, test := range []struct{ token, wrong string }{
		{"", "not found, or private: set GITHUB_TOKEN or use gh auth login"},
		{"expired", "refuses (401 Unauthorized) to the token of GITHUB_TOKEN"},
		{"good", ""},
	} {
		c, _ := newClient(t, "", forge.Environment(), token(test.token))
		finder := openGitHub(t, c, "lasuite/secret")
		_, tagsErr := finder.Tags(t.Context())
		_, releaseErr := finder.Release(t.Context(), "v1")
		for _, err := range []error{tagsErr, releaseErr} {
			switch {
			case test.wrong == "" && err != nil, test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)):
				t.Errorf("token %q: error %v, want %q", test.token, err, test.wrong)
			case test.token == "" && !errors.Is(err, ErrNotFound), test.token == "expired" && !fault.Is(err, fault.Credentials):
				t.Errorf("token %q: error %T", test.token, err)
			case err != nil && test.token != "" && strings.Contains(err.Error(), test.token):
				t.Errorf("token in %v", err)
			}
		}
	}
}

// git itself would refuse these names, but another server may send them.
func TestHostileTags(t *testing.T) {
	hostile := []string{`1.0";`, `$(x)`, `${builtins.readFile "/etc/passwd"}`, "../..", "..", "--upload-pack=x", "a\x1b[2Jb",
		"\u202ev1.0", "v1\r", "; rm -rf /", "%2e%2e/", "v1?x#y", "a b"}
	forge := forgetest.GitHub(t)
	var tags []forgetest.Tag
	var want []Tag
	for _, name := range hostile {
		tags = append(tags, forgetest.Tag{Name: name, Commit: objectA})
		if !strings.Contains(name, " ") { // git's protocol ends a name at a space
			want = append(want, Tag{name, objectA})
		}
	}
	tags = append(tags, forgetest.Tag{Name: strings.Repeat("9", 10_240), Commit: objectB})
	repo := forge.AddTags("o/r", tags)
	for _, name := range hostile {
		repo.AddRelease(forgetest.Release{Tag: name, Notes: "notes of " + name})
	}
	forge.AddToken("t", false)
	c, _ := newClient(t, t.TempDir(), forge.Environment(), token("t"))
	finder := openGitHub(t, c, "o/r")
	found, err := finder.Tags(t.Context())
	if err != nil || !slices.Equal(found.All, want) {
		t.Errorf("tags %q, %v, want %q", found.All, err, want)
	}
	for _, name := range hostile {
		if got := release(t, finder, name); got == nil || got.Notes != "notes of "+name {
			t.Errorf("%q: release %+v", name, got)
		}
		if got, err := finder.(*githubRepository).releaseByTag(t.Context(), name); err != nil || got == nil && name != ".." {
			t.Errorf("%q by itself: %v, %v", name, got, err)
		}
		for _, link := range []string{finder.Links("v1", name).Release, finder.Links(name, "v1").Compare, finder.Links("v1", name).Archive} {
			if !strings.HasPrefix(link, forge.URL+"/o/r/") || strings.ContainsAny(link, "\"; \x1b\r?#\u202e{}") || strings.Contains(link, "/../") {
				t.Errorf("%q: link %q", name, link)
			}
		}
	}
	if err := c.Prefetch(t.Context(), []Source{{Kind: "github", Location: "o/r", Tag: hostile[2]}}); err != nil {
		t.Error(err)
	}
}

func TestServerWithoutVersion2(t *testing.T) {
	advertised := line("# service=git-upload-pack") + "0000" + line(objectA+" refs/heads/main\x00agent=old") +
		line(objectA+" refs/tags/v1") + line(objectB+" refs/tags/v1^{}") + "0000"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost { // the server reads the request as one of its own protocol
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			w.Write([]byte(line("ERR upload-pack: not our ref")))
			return
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		w.Write([]byte(advertised))
	}))
	defer server.Close()
	c, _ := newClient(t, "")
	if got := tagsOf(t, open(t, c, Source{Kind: "git", Location: server.URL + "/r"})); !slices.Equal(got, []Tag{{"v1", objectB}}) {
		t.Errorf("tags %v", got)
	}
}

func TestSHA256Repository(t *testing.T) {
	testkit.Require(t, "git")
	forge := forgetest.Forgejo(t)
	repo := forge.AddRepo("a/b")
	if err := os.RemoveAll(repo.Dir); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "init", "--quiet", "--bare", "--object-format=sha256", "--initial-branch=main", repo.Dir).CombinedOutput(); err != nil {
		t.Skipf("this git knows no sha256: %s", out)
	}
	commit := repo.Commit(map[string]string{"a": "b"})
	repo.TagAnnotated("v1", commit)
	c, _ := newClient(t, "")
	got := tagsOf(t, open(t, c, Source{Kind: "git", Location: repo.CloneURL()}))
	if len(commit) != 64 || !slices.Equal(got, []Tag{{"v1", commit}}) {
		t.Errorf("tags %v, want v1 of %s", got, commit)
	}
}

func TestUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	c, waited := newClient(t, "", map[string]string{"GITHUB_SERVER_URL": server.URL})
	_, err := openGitHub(t, c, "o/r").Tags(t.Context())
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "listing the tags of "+server.URL+"/o/r.git: dial tcp") {
		t.Errorf("error %v", err)
	}
	if len(*waited) > 0 {
		t.Errorf("waited %v for a port that is closed", *waited)
	}
}

func TestTagsOfRealRepositories(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, _ := newClient(t, "", forge.Environment())
	for file, location := range map[string]string{"suitenumerique_docs.tsv": "suitenumerique/docs", "suitenumerique_meet.tsv": "suitenumerique/meet",
		"suitenumerique_drive.tsv": "suitenumerique/drive", "miniflux_v2.tsv": "miniflux/v2"} {
		tags := readTags(t, file)
		forge.AddTags(location, tags)
		found, err := openGitHub(t, c, location).Tags(t.Context())
		if err != nil || len(found.All) != len(tags) {
			t.Errorf("%s: %d tags, %v, want %d", location, len(found.All), err, len(tags))
			continue
		}
		for i, tag := range tags {
			if found.All[i] != (Tag{tag.Name, tag.Commit}) {
				t.Errorf("%s: %v, want %v", location, found.All[i], tag)
			}
		}
	}
}

func TestNothingToFind(t *testing.T) {
	c, _ := newClient(t, "")
	for _, kind := range []string{"url", "path", ""} {
		var nothing *NothingToFindError
		if _, err := c.Open(Source{Kind: kind, Location: "https://github.com/o/r"}); !errors.As(err, &nothing) {
			t.Errorf("kind %q: error %v", kind, err)
		}
	}
	for _, source := range []Source{{Kind: "github", Location: "https://github.com/o/r"}, {Kind: "github", Location: "o/../r"},
		{Kind: "github", Location: "o/.."}, {Kind: "git", Location: "https://x/o/r", Forge: "bitbucket"}, {Kind: "git", Location: "https://x/r", Forge: "gitlab"},
		{Kind: "git", Location: "https://x/r", Forge: "forgejo"}, {Kind: "goModule", Location: "../x"}} {
		if _, err := c.Open(source); err == nil {
			t.Errorf("%+v: no error", source)
		}
	}
}

package registry

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
)

// userOf returns the user whose login the keychain finds.
func userOf(t *testing.T, repository string) string {
	t.Helper()
	target, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	found, err := NewKeychain(nil).Resolve(target)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := found.Authorization()
	if err != nil {
		t.Fatal(err)
	}
	return auth.Username
}

func TestKeychain(t *testing.T) {
	home := homeless(t)
	docker, session, lasting := filepath.Join(home, ".docker/config.json"), filepath.Join(home, "run/containers/auth.json"), filepath.Join(home, ".config/containers/auth.json")
	expect := func(want map[string]string) {
		t.Helper()
		for repository, user := range want {
			if got := userOf(t, repository); got != user {
				t.Errorf("%s: user %q, want %q", repository, got, user)
			}
		}
	}
	expect(map[string]string{"one.example/x": ""})

	writeAuths(t, lasting, login("one.example", "lasting", "p"), login("three.example", "lasting", "p"), login("docker.io", "hub", "p"))
	writeAuths(t, session, login("one.example", "session", "p"), login("two.example/lasuite", "lasuite", "p"), login("two.example/lasuite/docs", "docs", "p"))
	expect(map[string]string{
		"one.example/x":                 "session",
		"three.example/x":               "lasting",
		"two.example/lasuite/meet":      "lasuite",
		"two.example/lasuite/docs":      "docs",
		"two.example/lasuite/docs/more": "docs",
		"two.example/lasuites/docs":     "", // a namespace's login is for that namespace only
		"two.example/other":             "",
		"index.docker.io/library/x":     "hub",
		"four.example/x":                "",
	})

	// Docker's file and podman's are both read.
	writeAuths(t, docker, login("one.example", "docker", "p"), login("https://four.example/v1/", "old", "p"), login("https://index.docker.io/v1/", "dockerhub", "p"))
	expect(map[string]string{
		"one.example/x":             "docker",
		"four.example/x":            "old",
		"index.docker.io/library/x": "dockerhub",
		"three.example/x":           "lasting",
	})

	// Environment variables name files.
	named := filepath.Join(home, "named.json")
	writeAuths(t, named, login("one.example", "named", "p"))
	t.Setenv("REGISTRY_AUTH_FILE", named)
	expect(map[string]string{"one.example/x": "named", "three.example/x": "lasting"})
	t.Setenv("DOCKER_CONFIG", filepath.Join(home, "elsewhere"))
	expect(map[string]string{"four.example/x": ""})
	writeAuths(t, filepath.Join(home, "elsewhere", "config.json"), login("four.example", "elsewhere", "p"))
	expect(map[string]string{"four.example/x": "elsewhere"})
	t.Setenv("DOCKER_AUTH_CONFIG", `{"auths":{`+login("five.example", "variable", "p")+`}}`)
	expect(map[string]string{"five.example/x": "variable"})
}

// Where root has run podman, nobody else may enter /run/containers. So a user without a
// session of their own has no logins there.
func TestSessionOfAnotherUserHasNoLogin(t *testing.T) {
	home := homeless(t)
	writeAuths(t, filepath.Join(home, "run/containers/auth.json"), login("one.example", "other", "p"))
	writeAuths(t, filepath.Join(home, ".config/containers/auth.json"), login("one.example", "mine", "p"))
	asUser(t, home)
	for _, closed := range []string{"run/containers", "run"} {
		path := filepath.Join(home, closed)
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		if got := userOf(t, "one.example/x"); got != "mine" {
			t.Errorf("%s is closed: user %q", closed, got)
		}
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// asUser continues the test as an ordinary user, whom file modes stop, who owns home.
func asUser(t *testing.T, home string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	err := filepath.WalkDir(home, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, nobody, nobody))
	})
	if err := errors.Join(err, os.Chmod(filepath.Dir(home), 0o755), syscall.Seteuid(nobody)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Seteuid(0); err != nil {
			t.Fatal(err)
		}
	})
}

// putHelper installs a credential helper that keeps logins in a folder of the home
// directory, and returns that folder.
func putHelper(t *testing.T, home, name string) string {
	t.Helper()
	kept := filepath.Join(home, "kept")
	if err := os.MkdirAll(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	putFile(t, filepath.Join(home, "bin", "docker-credential-"+name), `#!/bin/sh
case $1 in
store) cat > '`+kept+`/new'; mv '`+kept+`/new' '`+kept+`'/"$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' '`+kept+`/new' | tr / _)" ;;
get) read -r url; file='`+kept+`'/"$(echo "$url" | tr / _)"
  if [ -f "$file" ]; then cat "$file"; else echo 'credentials not found in native keychain'; exit 1; fi ;;
*) exit 1 ;;
esac
`, 0o755)
	t.Setenv("PATH", filepath.Join(home, "bin")+":"+os.Getenv("PATH"))
	return kept
}

func TestKeychainHelpers(t *testing.T) {
	home := homeless(t)
	kept := putHelper(t, home, "test")
	putFile(t, filepath.Join(kept, "one.example"), `{"ServerURL":"one.example","Username":"helped","Secret":"p"}`, 0o600)
	putFile(t, filepath.Join(kept, "two.example"), `{"ServerURL":"two.example","Username":"helped","Secret":"p"}`, 0o600)
	for _, test := range []struct{ file, repository, want string }{
		{`{"credsStore":"test"}`, "one.example/x", "helped"},
		{`{"credsStore":"test"}`, "three.example/x", "podman"}, // not there: read the next file
		{`{"credHelpers":{"one.example":"test"}}`, "one.example/x", "helped"},
		{`{"credHelpers":{"one.example":"test"}}`, "two.example/x", ""},
		{`{"credsStore":"test","auths":{"one.example/y":{"auth":"bmFtZXNwYWNlOnA="}}}`, "one.example/y/z", "namespace"},
	} {
		putFile(t, filepath.Join(home, ".docker/config.json"), test.file, 0o600)
		writeAuths(t, filepath.Join(home, "run/containers/auth.json"), login("three.example", "podman", "p"))
		if got := userOf(t, test.repository); got != test.want {
			t.Errorf("%s: %s: user %q, want %q", test.file, test.repository, got, test.want)
		}
	}
}

// A helper that is missing, prints nothing, fails or hangs causes one warning, and the next
// file is read. Output before a login is ignored. It is not repeated if it may contain a login.
func TestFailingHelperWarnsAndTheNextFileIsRead(t *testing.T) {
	for _, test := range []struct{ script, note, want string }{
		{"", "docker-credential-odd is not installed", "podman"},
		{"exit 0", "prints nothing", "podman"},
		{"echo; exit 0", "prints nothing", "podman"},
		{"echo hello", "prints no login", "podman"},
		{"echo '[]'", "prints no login", "podman"},
		{"echo \"no keychain here\"; exit 1", "no keychain here (exit status 1)", "podman"},
		{"echo \"cannot open display\" >&2; exit 2", "cannot open display (exit status 2)", "podman"},
		{`echo '{"Username":"u","Secret":"hunter2"}'; exit 1`, "fails: (exit status 1)", "podman"},
		{"kill -9 $$", "fails: (signal: killed)", "podman"},
		{"echo 'credentials not found in native keychain'; exit 1", "", "podman"},
		{"echo 'Error: Credentials not found' >&2; exit 1", "", "podman"},
		{`echo '{}'`, "", "podman"},
		{`echo 'warning: {old} format'; echo '{"ServerURL":"one.example","Username":"helped","Secret":"p"}'`, "", "helped"},
		{`echo '{"Username":"helped","Secret":"p"}'; echo bye`, "", "helped"},
	} {
		home := homeless(t)
		if test.script != "" {
			putFile(t, filepath.Join(home, "bin", "docker-credential-odd"), "#!/bin/sh\n"+test.script+"\n", 0o755)
		}
		t.Setenv("PATH", filepath.Join(home, "bin")+":/usr/bin:/bin")
		putFile(t, filepath.Join(home, ".docker/config.json"), `{"credsStore":"odd"}`, 0o600)
		writeAuths(t, filepath.Join(home, "run/containers/auth.json"), login("one.example", "podman", "p"))
		var notes []string
		keys := NewKeychain(func(text string) { notes = append(notes, text) })
		for _, repository := range []string{"one.example/x", "one.example/y"} {
			target, err := name.NewRepository(repository)
			if err != nil {
				t.Fatal(err)
			}
			found, err := keys.Resolve(target)
			if err != nil {
				t.Fatalf("%s: %v", test.script, err)
			}
			if got, _ := found.Authorization(); got.Username != test.want {
				t.Errorf("%s: user %q, want %q", test.script, got.Username, test.want)
			}
		}
		said := strings.Join(notes, "\n")
		if len(notes) > 1 || !strings.Contains(said, test.note) || test.note == "" && said != "" || strings.Contains(said, "hunter2") {
			t.Errorf("%s: notes %q, want %q", test.script, notes, test.note)
		}
	}
}

// A helper runs once for all repositories of a registry, and again later, because its login
// may have expired.
func TestHelperRunsOnce(t *testing.T) {
	home := homeless(t)
	kept := putHelper(t, home, "test")
	putFile(t, filepath.Join(kept, "one.example"), `{"ServerURL":"one.example","Username":"helped","Secret":"p"}`, 0o600)
	putFile(t, filepath.Join(home, ".docker/config.json"), `{"credsStore":"test"}`, 0o600)
	keys := NewKeychain(nil)
	ask := func() string {
		var user string
		for _, repository := range []string{"one.example/x", "one.example/y", "one.example/x/z"} {
			target, err := name.NewRepository(repository)
			if err != nil {
				t.Fatal(err)
			}
			found, err := keys.Resolve(target)
			if err != nil {
				t.Fatal(err)
			}
			login, err := found.Authorization()
			if err != nil {
				t.Fatal(err)
			}
			user = login.Username
		}
		return user
	}
	if got := ask(); got != "helped" {
		t.Errorf("user %q", got)
	}
	putFile(t, filepath.Join(kept, "one.example"), `{"ServerURL":"one.example","Username":"later","Secret":"p"}`, 0o600)
	if got := ask(); got != "helped" {
		t.Errorf("asked again: user %q", got)
	}
	for _, file := range keys.files {
		file.when = file.when.Add(-loginsLast)
	}
	if got := ask(); got != "later" {
		t.Errorf("not asked again: user %q", got)
	}
}

func TestKeychainOfBadFiles(t *testing.T) {
	home := homeless(t)
	path := filepath.Join(home, ".docker/config.json")
	putFile(t, path, "", 0o600) // has no logins
	if got := userOf(t, "one.example/x"); got != "" {
		t.Errorf("user %q", got)
	}
	for _, content := range []string{"{", `{"auths":{"one.example":{"auth":"%%%"}}}`, `{"auths":[]}`} {
		putFile(t, path, content, 0o600)
		target, err := name.NewRepository("one.example/x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewKeychain(nil).Resolve(target); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", content, err)
		}
	}
}

// A login with podman is found, whatever docker's file contains.
func TestPodmanLogin(t *testing.T) {
	testkit.Require(t, "podman")
	home := homeless(t)
	registry := guarded(t, handlerOf(t, "no referrers"), "publisher", false)
	if err := registry.client(t).CheckPush(context.Background(), noteRef); !fault.Is(err, fault.Credentials) || !strings.HasSuffix(err.Error(), "; log in with: libre login "+registry.host) {
		t.Errorf("%v", err)
	}
	writeAuths(t, filepath.Join(home, ".docker/config.json"), login("other.example", "other", "p"))
	if err := os.MkdirAll(filepath.Join(home, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	run, err := os.MkdirTemp("/tmp", "run") // podman's limit is 50 characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	podman := exec.Command("podman", "--root", filepath.Join(home, "storage"), "--runroot", run, "--storage-driver", "vfs",
		"login", "--tls-verify=false", "--username", "publisher", "--password-stdin", registry.host)
	podman.Stdin = strings.NewReader(password)
	if out, err := podman.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := registry.client(t).CheckPush(context.Background(), noteRef); err != nil {
		t.Error(err)
	}
}

// A helper without a login prints its own words for that. This causes no warning.
func TestHelperWithoutALoginGivesNoWarning(t *testing.T) {
	home := homeless(t)
	t.Setenv("PATH", filepath.Join(home, "bin")+":"+os.Getenv("PATH"))
	for _, words := range []string{
		"credentials not found in native keychain",
		"The specified item could not be found in the keychain.",
		"Element not found.",
		"error getting credentials - err: exit status 1, out: `credentials not found in native keychain`",
	} {
		putFile(t, filepath.Join(home, "bin", "docker-credential-own"), "#!/bin/sh\ncat <<'X'\n"+words+"\nX\nexit 1\n", 0o755)
		if login, err := askHelper("own", "one.example"); err != nil || login.Username != "" {
			t.Errorf("%s: %v, %v", words, login, err)
		}
	}
}

package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
)

// dockerWithPassword starts Debian's registry with one user.
func dockerWithPassword(t *testing.T, user string) string {
	t.Helper()
	testkit.Require(t, "docker-registry")
	const hash = "$2a$04$MNGvaVoxPtWUrqL44VLol.331cvYgSla/EnO1rYd9wQO43WCXVrlm" // bcrypt hash of password
	dir, host := t.TempDir(), testkit.FreeAddress(t)
	putFile(t, filepath.Join(dir, "htpasswd"), user+":"+hash+"\n", 0o600)
	putFile(t, filepath.Join(dir, "config.yml"), fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}}
http: {addr: %q}
auth: {htpasswd: {realm: test, path: %q}}
`, filepath.Join(dir, "storage"), host, filepath.Join(dir, "htpasswd")), 0o600)
	testkit.Serve(t, "http://"+host+"/", exec.Command("docker-registry", "serve", filepath.Join(dir, "config.yml")))
	return host
}

func logIn(t *testing.T, host, user, password string) (Stored, error) {
	t.Helper()
	login, err := NewLogin(host, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return login.Store(context.Background(), user, password)
}

func TestLogin(t *testing.T) {
	for _, kind := range []string{"basic", "token", "docker-registry"} {
		t.Run(kind, func(t *testing.T) {
			home := homeless(t)
			file := filepath.Join(home, ".docker/config.json")
			var host string
			if kind == "docker-registry" {
				host = dockerWithPassword(t, "publisher")
			} else {
				host = guarded(t, handlerOf(t, "no referrers"), "publisher", kind == "token").host
			}
			for _, wrong := range [][2]string{{"publisher", "wrong" + password}, {"nobody", password}} {
				_, err := logIn(t, host, wrong[0], wrong[1])
				if text := fmt.Sprint(err); !fault.Is(err, fault.Credentials) || !strings.HasPrefix(text, "logging in to "+host+": 401 Unauthorized") || strings.Contains(text, "\n") || strings.Contains(text, password) {
					t.Errorf("%v", err)
				}
			}
			if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a wrong password was kept: %v", err)
			}
			stored, err := logIn(t, host, "publisher", password)
			if want := (Stored{File: file, Checked: true}); err != nil || stored != want {
				t.Errorf("%+v, want %+v, %v", stored, want, err)
			}
			if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			client, err := NewClient(host+"/lasuite", Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.PushArtifact(context.Background(), noteRef, note); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLoginToAPublicRegistry(t *testing.T) {
	homeless(t)
	registry := record(t, handlerOf(t, "no referrers"))
	if stored, err := logIn(t, registry.host, "publisher", password); err != nil || stored.Checked {
		t.Errorf("%+v, %v", stored, err)
	}
	if user := userOf(t, registry.host+"/x"); user != "publisher" {
		t.Errorf("user %q", user)
	}
}

func TestLoginErrors(t *testing.T) {
	home := homeless(t)
	for _, host := range []string{"", "registry.example/lasuite", "https://registry.example", "a b"} {
		if _, err := NewLogin(host, Options{}); err == nil || !strings.Contains(err.Error(), "expected a registry alone") {
			t.Errorf("%q: %v", host, err)
		}
	}
	// A file that cannot be parsed is not replaced.
	registry := guarded(t, handlerOf(t, "no referrers"), "publisher", false)
	file := filepath.Join(home, ".docker/config.json")
	putFile(t, file, "{", 0o644)
	if _, err := logIn(t, registry.host, "publisher", password); err == nil || !strings.HasPrefix(err.Error(), "reading "+file+": ") {
		t.Errorf("%v", err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "{" {
		t.Errorf("%q, %v", content, err)
	}
	// No redirect gets the password.
	var got string
	thief := record(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got += r.Header.Get("Authorization") }))
	liar := record(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, "http://"+strings.Replace(thief.host, "127.0.0.1", "localhost", 1)+"/v2/", http.StatusTemporaryRedirect)
	}))
	putFile(t, file, "{}", 0o600)
	_, _ = logIn(t, liar.host, "publisher", password)
	if got != "" {
		t.Errorf("the redirect got %q", got)
	}
}

// The file for a login depends on the files that exist.
func TestLoginFile(t *testing.T) {
	const docker, session, lasting = ".docker/config.json", "run/containers/auth.json", ".config/containers/auth.json"
	for _, test := range []struct {
		there []string
		want  string
	}{
		{nil, docker},
		{[]string{docker}, docker},
		{[]string{docker, session, lasting}, docker},
		{[]string{session}, session},
		{[]string{session, lasting}, session},
		{[]string{lasting}, lasting},
	} {
		home := homeless(t)
		registry := guarded(t, handlerOf(t, "no referrers"), "publisher", false)
		for _, file := range test.there {
			// Readable for all, with a login that is replaced and one that stays.
			putFile(t, filepath.Join(home, file), `{"auths":{`+login(registry.host, "old", "old")+","+login("other.example", "other", "p")+`}}`, 0o644)
		}
		stored, err := logIn(t, registry.host, "publisher", password)
		if err != nil || stored.File != filepath.Join(home, test.want) {
			t.Errorf("%q: %+v, %v", test.there, stored, err)
		}
		if info, err := os.Stat(stored.File); err != nil || info.Mode() != 0o600 {
			t.Errorf("%q: mode %v, %v", test.there, info.Mode(), err)
		}
		if err := registry.client(t).CheckPush(context.Background(), noteRef); err != nil {
			t.Errorf("%q: %v", test.there, err)
		}
		if user := userOf(t, "other.example/x"); len(test.there) > 0 && user != "other" {
			t.Errorf("%q: the other login is gone", test.there)
		}
	}
	home := homeless(t)
	t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(home, "named", "auth.json"))
	putFile(t, filepath.Join(home, docker), "{}", 0o600)
	registry := guarded(t, handlerOf(t, "no referrers"), "publisher", true)
	if stored, err := logIn(t, registry.host, "publisher", password); err != nil || stored.File != filepath.Join(home, "named", "auth.json") {
		t.Errorf("%+v, %v", stored, err)
	}
	if err := registry.client(t).CheckPush(context.Background(), noteRef); err != nil {
		t.Error(err)
	}
}

func TestLoginWithHelper(t *testing.T) {
	home := homeless(t)
	kept := putHelper(t, home, "test")
	file := filepath.Join(home, ".docker/config.json")
	registry := guarded(t, handlerOf(t, "no referrers"), "publisher", true)
	for _, config := range []string{`{"credsStore":"test"}`, `{"credHelpers":{"` + registry.host + `":"test"}}`} {
		putFile(t, file, config, 0o644)
		stored, err := logIn(t, registry.host, "publisher", password)
		if want := (Stored{File: file, Helper: "docker-credential-test", Checked: true}); err != nil || stored != want {
			t.Errorf("%+v, want %+v, %v", stored, want, err)
		}
		content, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(content), base64.StdEncoding.EncodeToString([]byte("publisher:"+password))) {
			t.Errorf("docker's file has the password too: %v", err)
		}
		if err := registry.client(t).CheckPush(context.Background(), noteRef); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(kept); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(kept, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// This helper repeats its input.
	putFile(t, filepath.Join(home, "bin", "docker-credential-loud"), "#!/bin/sh\ncat\nexit 1\n", 0o755)
	putFile(t, file, `{"credsStore":"loud"}`, 0o600)
	for _, secret := range []string{password} {
		_, err := logIn(t, registry.host, "publisher", secret)
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "docker-credential-loud") {
			t.Errorf("%v", err)
		}
	}
	if got := withoutSecret("\"a\\u003cb\\\"c\"\n  a<b\"c", `a<b"c`); got != `"…" …` {
		t.Errorf("%q", got)
	}
}

package registry

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/catalog"
)

// password is the password that the guards of the tests require. No output may contain it.
const password = "pa ss/wörd+%3A"

// A guard lets one user into a registry, by name and password or with tokens for them.
type guard struct {
	inner  http.Handler
	user   string
	tokens bool

	mu    sync.Mutex
	given int
	good  map[string]bool
}

// guarded returns a recorded registry behind a guard.
func guarded(t *testing.T, inner http.Handler, user string, tokens bool) *recorded {
	t.Helper()
	return record(t, &guard{inner: inner, user: user, tokens: tokens, good: map[string]bool{}})
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, given, _ := r.BasicAuth()
	knows := user == g.user && given == password
	refuse := func(challenge string) {
		// Read the whole body before the answer, so that the client cannot send the same body again.
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("WWW-Authenticate", challenge)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"not with `+given+`"}]}`, http.StatusUnauthorized)
	}
	switch {
	case !g.tokens && knows:
		g.inner.ServeHTTP(w, r)
	case !g.tokens:
		refuse(`Basic realm="test"`)
	case r.URL.Path == "/token" && knows:
		fmt.Fprintf(w, `{"token":%q}`, g.newToken())
	case r.URL.Path == "/token":
		refuse("")
	case g.accepts(r.Header.Get("Authorization")):
		g.inner.ServeHTTP(w, r)
	default:
		refuse(fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
	}
}

func (g *guard) newToken() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.given++
	token := fmt.Sprintf("token-%d", g.given)
	g.good[token] = true
	return token
}

func (g *guard) accepts(authorization string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.good[strings.TrimPrefix(authorization, "Bearer ")]
}

// expire makes all issued tokens invalid.
func (g *guard) expire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.good)
}

// homeless gives the test an empty home directory, without logins.
func homeless(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(home, "run"))
	for _, variable := range []string{"DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME"} {
		t.Setenv(variable, "") // restored at the end
		// Docker's registry would read REGISTRY_AUTH_FILE as a setting of its own.
		if err := os.Unsetenv(variable); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// knows writes the logins of guarded registries to docker's file.
func knows(t *testing.T, registries ...*recorded) {
	t.Helper()
	home := homeless(t)
	var auths []string
	for _, r := range registries {
		auths = append(auths, login(r.host, r.inner.(*guard).user, password))
	}
	writeAuths(t, filepath.Join(home, ".docker", "config.json"), auths...)
}

func login(key, user, password string) string {
	return fmt.Sprintf("%q:{\"auth\":%q}", key, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

func writeAuths(t *testing.T, path string, auths ...string) {
	t.Helper()
	putFile(t, path, `{"auths":{`+strings.Join(auths, ",")+"}}", 0o600)
}

func putFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func mustTag(t *testing.T, client *Client, ref catalog.Ref) name.Tag {
	t.Helper()
	tag, err := client.Tag(ref)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

func staticBlob(content []byte, mediaType types.MediaType) v1.Layer {
	return static.NewLayer(content, mediaType)
}

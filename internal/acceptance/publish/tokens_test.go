package publish

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/sign"
)

// A tokens is a token server at /token of a registry. The registry requires its tokens. The
// server issues them for a login. A token is valid for some repositories and some requests.
// https://distribution.github.io/distribution/spec/auth/token/
type tokens struct {
	login string // the login that the token server requires
	each  int    // number of requests for which a token is valid

	mu     sync.Mutex
	live   map[string]*bearer
	given  int
	refuse int // number of tokens after which the token server refuses all; 0: none
	wrong  int // number of requests with a token that was not, or no longer, valid
}

type bearer struct {
	scopes []string // repository:NAME:ACTIONS
	left   int
}

// covers reports whether a token is valid for a request.
func (b *bearer) covers(r *http.Request) bool {
	return r.URL.Path == "/v2/" || slices.ContainsFunc(b.scopes, func(scope string) bool {
		parts := strings.Split(scope, ":")
		return len(parts) == 3 && strings.HasPrefix(r.URL.Path, "/v2/"+parts[1]+"/") && strings.Contains(parts[2], action(r))
	})
}

func action(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return "pull"
	}
	return "push"
}

// meddle implements watched.meddle.
func (k *tokens) meddle(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.URL.Path == "/token" {
		k.give(w, r)
		return true
	}
	shown, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if b := k.live[shown]; b != nil && b.left > 0 && b.covers(r) {
		b.left--
		return false
	}
	if found {
		k.wrong++
	}
	challenge := fmt.Sprintf(`Bearer realm="http://%s/token",service="registry"`, r.Host)
	if parts := strings.Split(r.URL.Path, "/"); len(parts) > 4 {
		challenge += fmt.Sprintf(`,scope="repository:%s/%s:pull,push"`, parts[2], parts[3])
	}
	if found {
		challenge += `,error="invalid_token"`
	}
	answer(http.StatusUnauthorized, "WWW-Authenticate", challenge)(w, r, nil)
	return true
}

// give answers as the token server.
func (k *tokens) give(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != k.login || k.refuse != 0 && k.given >= k.refuse {
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}`, http.StatusUnauthorized)
		return
	}
	k.given++
	token := rand.Text()
	k.live[token] = &bearer{r.URL.Query()["scope"], k.each}
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 60})
}

// withTokens puts a token server in front of a registry, and returns a catalogue with a
// login for it.
func withTokens(t *testing.T, reg *watched, each int) (catalogue, *tokens) {
	t.Helper()
	login := base64.StdEncoding.EncodeToString([]byte("publisher:token-server-password"))
	k := &tokens{login: "Basic " + login, each: each, live: map[string]*bearer{}}
	reg.setMeddle(k.meddle)
	config := t.TempDir()
	writeJSON(t, filepath.Join(config, "config.json"), map[string]any{"auths": map[string]any{reg.host: map[string]string{"auth": login}}})
	c := shared(t)
	c.env = append(slices.Clone(c.env), "DOCKER_CONFIG="+config)
	return c, k
}

// Tokens that expire during a run, even during an upload, are renewed without a message.
// Several requests use one token at the same time, so a token for fewer requests could
// expire twice for one of them.
func TestExpiredTokensAreRenewed(t *testing.T) {
	t.Parallel()
	want := undisturbedDefaults(t)
	for _, each := range []int{16, 25} {
		t.Run(fmt.Sprint(each, " requests"), func(t *testing.T) {
			t.Parallel()
			reg := newWatched(t, "no referrers", sign.Bundle)
			c, k := withTokens(t, reg, each)
			got := c.run("push", defaults, "--to", reg.prefix()).want(t, 0)
			checkLines(t, got)
			if k.wrong == 0 {
				t.Error("no token ended")
			}
			t.Logf("%d tokens were given, %d requests came with one that was not good", k.given, k.wrong)
			reg.setMeddle(nil)
			if diff := cmp.Diff(want, reg.tags(t), butRecords); diff != "" {
				t.Errorf("tags: %s", diff)
			}
			reg.audit(t)
		})
	}
}

// If the token server refuses another token, the error is reported, and the next run
// completes.
func TestRefusedTokenIsNamedAndTheNextRunCompletes(t *testing.T) {
	t.Parallel()
	want := undisturbedTwo(t)
	for _, refuse := range []int{1, 3, 8} {
		t.Run(fmt.Sprint("after ", refuse), func(t *testing.T) {
			t.Parallel()
			reg := newWatched(t, "no referrers", sign.Bundle)
			c, k := withTokens(t, reg, 6)
			k.refuse = refuse
			got := c.run("push", two, "--to", reg.prefix()).want(t, 4)
			checkLines(t, got)
			if !strings.Contains(got.stderr, "401 Unauthorized") || !strings.Contains(got.stderr, "log in with: ") {
				t.Errorf("nothing says what to do:\n%s", got.stderr)
			}
			if k.given != refuse {
				t.Errorf("%d tokens were given: the run ended before", k.given)
			}
			t.Logf("%s", got.stderr)
			k.refuse = 0
			k.each = 1000
			c.run("push", two, "--to", reg.prefix()).want(t, 0)
			reg.setMeddle(nil)
			if diff := cmp.Diff(want, reg.tags(t), butRecords); diff != "" {
				t.Errorf("tags after the next run: %s", diff)
			}
			reg.audit(t)
		})
	}
}

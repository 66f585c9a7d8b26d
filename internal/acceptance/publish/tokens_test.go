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

// tokens lets in, before a registry, who shows a token, which the token server at
// /token gives to whom it knows. A token is good for some repositories and some
// requests. https://distribution.github.io/distribution/spec/auth/token/
type tokens struct {
	login string // what the token server wants
	each  int    // requests for a token

	mu     sync.Mutex
	live   map[string]*bearer
	given  int
	refuse int // tokens after which the token server knows nobody, 0: none
	wrong  int // requests with a token that was not, or no longer, good
}

type bearer struct {
	scopes []string // repository:NAME:ACTIONS
	left   int
}

// covers tells whether a token is for what a request does.
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

// meddle is the watched registry's.
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

// give is the token server.
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

// withTokens puts a token server before a registry, and gives a catalogue that
// has the login for it.
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

// Tokens that end in the middle of a run, also in the middle of an upload, are
// replaced: the run does not even mention it. Several requests are made at once
// with one token, so that one for fewer requests could end twice for one of them.
func TestExpiredTokensAreRenewed(t *testing.T) {
	t.Parallel()
	want := undisturbedDefaults(t)
	for _, each := range []int{8, 25} {
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

// The token server does not give another token: a refusal, and the next run
// completes it.
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

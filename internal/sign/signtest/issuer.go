// Package signtest has fixtures for tests that sign keyless or verify with other tools:
// Sigstore's services on this machine, an issuer of identity tokens, and cosign.
package signtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// Subject is the subject of the issuer's tokens.
const Subject = "ci@example.org"

// An Issuer is a small OpenID Connect provider that logs everybody in as Subject.
type Issuer struct {
	URL   string
	Asked atomic.Int64 // tokens issued
	Fails atomic.Int64 // number of requests for an Actions token to answer with 503 first
	key   *ecdsa.PrivateKey
}

// ActionsSecret is the bearer token with which a job requests an identity token at
// URL/actions.
const ActionsSecret = "request-token-of-this-job"

// NewIssuer starts an issuer.
func NewIssuer(t testing.TB) *Issuer {
	i := &Issuer{key: must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	nonces := map[string]string{}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"ES256"}, "code_challenge_methods_supported": []string{"S256"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": number(i.key.X), "y": number(i.key.Y),
		}}})
	})
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		nonces["a-code"] = query.Get("nonce")
		back := url.Values{"code": {"a-code"}, "state": {query.Get("state")}}
		http.Redirect(w, r, query.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		token := i.token(t, 10*time.Minute, nonces[r.FormValue("code")])
		json.NewEncoder(w).Encode(map[string]string{"access_token": "a", "token_type": "Bearer", "id_token": token})
	})
	mux.HandleFunc("/actions", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case i.Fails.Add(-1) >= 0:
			http.Error(w, "later", http.StatusServiceUnavailable)
		case r.Header.Get("Authorization") != "Bearer "+ActionsSecret || r.URL.Query().Get("audience") != "sigstore" || r.URL.Query().Get("version") != "2":
			http.Error(w, "who? "+r.Header.Get("Authorization"), http.StatusForbidden)
		default:
			json.NewEncoder(w).Encode(map[string]string{"value": i.Token(t, 10*time.Minute)})
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

func number(n *big.Int) string {
	return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32)))
}

// Token returns an identity token that was issued an hour ago and expires after life.
func (i *Issuer) Token(t testing.TB, life time.Duration) string { return i.token(t, life, "") }

// token returns a JSON web token (RFC 7519), signed with ES256.
func (i *Issuer) token(t testing.TB, life time.Duration, nonce string) string {
	i.Asked.Add(1)
	now := time.Now()
	claims := map[string]any{
		"iss": i.URL, "aud": "sigstore", "sub": "1", "email": Subject, "email_verified": true, "nonce": nonce,
		"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(life).Unix(),
	}
	encode := func(v any) string { return base64.RawURLEncoding.EncodeToString(must[[]byte](t)(json.Marshal(v))) }
	text := encode(map[string]string{"alg": "ES256", "kid": "1", "typ": "JWT"}) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

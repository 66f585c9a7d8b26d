package provider

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const app = "http://127.0.0.1:8080"

// flow is an app, and a browser that does not follow where it is sent.
type flow struct {
	t        *testing.T
	ctx      context.Context
	provider *oidc.Provider
	config   oauth2.Config
	browser  http.Client
}

func open(t *testing.T, change func(*Options)) *flow {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	o := Options{
		Issuer: server.URL, App: "<b>guest</b>book", URL: app, ClientID: "app", ClientSecret: "it's secret", Callback: "/callback", PostLogout: "/bye",
		Password: "p&ssword", Hint: "in secrets.env",
	}
	if change != nil {
		change(&o)
	}
	var err error
	if handler, err = New(o); err != nil {
		t.Fatal(err)
	}
	provider, err := oidc.NewProvider(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &flow{t, t.Context(), provider, oauth2.Config{
		ClientID: "app", ClientSecret: "it's secret", Endpoint: provider.Endpoint(), RedirectURL: app + "/callback", Scopes: []string{"openid", "email", "profile", "offline_access"},
	}, http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what the browser gets.
type answer struct {
	status   int
	location *url.URL
	body     string
}

func (f *flow) answer(response *http.Response, err error) answer {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	location, _ := response.Location()
	return answer{response.StatusCode, location, string(body)}
}

func (f *flow) get(url string) answer {
	f.t.Helper()
	return f.answer(f.browser.Get(url))
}

var hidden = regexp.MustCompile(`name="id" value="([^"]+)"`)

// logIn gives the password on the page that an address leads to.
func (f *flow) logIn(address, name, password string) answer {
	f.t.Helper()
	sent := f.get(address)
	if sent.location == nil {
		f.t.Fatalf("%s: %d %s", address, sent.status, sent.body)
	}
	page := f.get(sent.location.String())
	id := hidden.FindStringSubmatch(page.body)
	if page.status != http.StatusOK || id == nil || strings.Contains(page.body, "<b>") || !strings.Contains(page.body, "&lt;b&gt;guest&lt;/b&gt;book") {
		f.t.Fatalf("the page: %d\n%s", page.status, page.body)
	}
	return f.answer(f.browser.PostForm(sent.location.String(), url.Values{"id": {id[1]}, "name": {name}, "password": {password}}))
}

// code is what the app gets after a login.
func (f *flow) code(o ...oauth2.AuthCodeOption) string {
	f.t.Helper()
	back := f.logIn(f.config.AuthCodeURL("the state", o...), User, "p&ssword")
	if back.location == nil {
		f.t.Fatalf("%d %s", back.status, back.body)
	}
	back = f.get(back.location.String())
	if back.location == nil || !strings.HasPrefix(back.location.String(), app+"/callback?") || back.location.Query().Get("state") != "the state" {
		f.t.Fatalf("the app is reached by %v\n%s", back.location, back.body)
	}
	return back.location.Query().Get("code")
}

// The user logs in, and the app learns who it is, until the user logs out.
func TestCodeFlow(t *testing.T) {
	f := open(t, nil)
	verifier := oauth2.GenerateVerifier()
	code := f.code(oauth2.S256ChallengeOption(verifier), oidc.Nonce("the nonce"))
	token, err := f.config.Exchange(f.ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	verified, err := f.provider.Verifier(&oidc.Config{ClientID: "app"}).Verify(f.ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Email, Name string }
	if err := verified.Claims(&claims); err != nil || verified.Nonce != "the nonce" || verified.Subject != User || claims.Email != Email || claims.Name == "" {
		t.Errorf("%+v %+v, %v", verified, claims, err)
	}
	if info, err := f.provider.UserInfo(f.ctx, oauth2.StaticTokenSource(token)); err != nil || info.Email != Email || !info.EmailVerified || info.Subject != User {
		t.Errorf("%+v, %v", info, err)
	}
	again, err := f.config.TokenSource(f.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil || again.AccessToken == token.AccessToken {
		t.Fatalf("the token is not made anew: %v", err)
	}
	if _, err := f.config.TokenSource(f.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); err == nil {
		t.Error("a refresh token is taken twice")
	}
	var endpoints struct {
		End string `json:"end_session_endpoint"`
	}
	if err := f.provider.Claims(&endpoints); err != nil {
		t.Fatal(err)
	}
	end := endpoints.End + "?" + url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {app + "/bye"}, "state": {"s"}}.Encode()
	if out := f.get(end); out.location == nil || out.location.String() != app+"/bye?state=s" {
		t.Errorf("after the logout: %v %s", out.location, out.body)
	}
	if _, err := f.provider.UserInfo(f.ctx, oauth2.StaticTokenSource(again)); err == nil {
		t.Error("the token is valid after the logout")
	}
	if out := f.get(endpoints.End); out.location == nil || !strings.Contains(f.get(out.location.String()).body, "Logged out") {
		t.Errorf("a logout that leads nowhere: %+v", out)
	}
}

// Nobody logs in without the password, and no code is good for anybody but the app that asked.
func TestLoginsAreRefused(t *testing.T) {
	f := open(t, nil)
	for name, password := range map[string]string{User: "wrong", "louise": "p&ssword", "": ""} {
		if got := f.logIn(f.config.AuthCodeURL("s"), name, password); got.status != http.StatusUnauthorized || !strings.Contains(got.body, `role="alert"`) || strings.Contains(got.body, "p&") {
			t.Errorf("%s with %s: %d\n%s", name, password, got.status, got.body)
		}
	}
	login := f.config.Endpoint.AuthURL[:strings.LastIndex(f.config.Endpoint.AuthURL, "/")] + "/login?id=unknown"
	if got := f.get(login); got.status != http.StatusNotFound || !strings.Contains(got.body, "This login has ended") {
		t.Errorf("an unknown login: %d\n%s", got.status, got.body)
	}
	if got := f.get(f.config.AuthCodeURL("s", oauth2.SetAuthURLParam("prompt", "none"))); got.location == nil || got.location.Query().Get("error") != "login_required" {
		t.Errorf("without a page: %+v", got)
	}
	for _, address := range []string{"http://evil.example/callback", app + "/callback/../other", app + ":1/callback", "javascript:alert(1)"} {
		if got := f.get(f.config.AuthCodeURL("s", oauth2.SetAuthURLParam("redirect_uri", address))); got.status != http.StatusBadRequest {
			t.Errorf("back to %s: %d %v", address, got.status, got.location)
		}
	}
	verifier := oauth2.GenerateVerifier()
	challenge := oauth2.S256ChallengeOption(verifier)
	for name, with := range map[string]oauth2.AuthCodeOption{
		"no verifier":      oauth2.SetAuthURLParam("x", "y"),
		"another verifier": oauth2.VerifierOption(oauth2.GenerateVerifier()),
	} {
		if _, err := f.config.Exchange(f.ctx, f.code(challenge), with); err == nil {
			t.Errorf("%s: a token is given", name)
		}
	}
	code := f.code(challenge)
	wrong := f.config
	wrong.ClientSecret = "wrong"
	if _, err := wrong.Exchange(f.ctx, code, oauth2.VerifierOption(verifier)); err == nil {
		t.Error("a token is given for a wrong secret")
	}
	if _, err := f.config.Exchange(f.ctx, code, oauth2.VerifierOption(verifier)); err != nil {
		t.Error(err)
	}
	if _, err := f.config.Exchange(f.ctx, code, oauth2.VerifierOption(verifier)); err == nil {
		t.Error("a code is taken twice")
	}
}

// A definition that does not name where the app continues allows its paths, and no others.
func TestPathsThatAreNotNamed(t *testing.T) {
	f := open(t, func(o *Options) { o.Callback, o.PostLogout = "", "" })
	var endpoints struct {
		End string `json:"end_session_endpoint"`
	}
	if err := f.provider.Claims(&endpoints); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]int{
		app + "/any/path/":                 http.StatusFound,
		app + "/api/v1.0/logout-callback/": http.StatusFound,
		"http://localhost:8080/callback":   http.StatusFound,
		"http://127.0.0.1:8081/callback":   http.StatusBadRequest,
		"http://127.0.0.1:8080.evil.org/x": http.StatusBadRequest,
		"http://evil.org/127.0.0.1:8080/x": http.StatusBadRequest,
		"//evil.org/x":                     http.StatusBadRequest,
	} {
		if got := f.get(f.config.AuthCodeURL("s", oauth2.SetAuthURLParam("redirect_uri", address))); got.status != want {
			t.Errorf("%s: %d, want %d", address, got.status, want)
		}
		if got := f.get(endpoints.End + "?" + url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {address}}.Encode()); got.status != want {
			t.Errorf("%s after a logout: %d, want %d", address, got.status, want)
		}
	}
}

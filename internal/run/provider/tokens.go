package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// grant is what a token allows.
type grant struct {
	scopes   []string
	audience []string
	loggedIn time.Time
	token    string // the access token's name
	expires  time.Time
}

func (g *grant) GetSubject() string          { return User }
func (g *grant) GetAudience() []string       { return g.audience }
func (g *grant) GetScopes() []string         { return g.scopes }
func (g *grant) GetAMR() []string            { return []string{"pwd"} }
func (g *grant) GetAuthTime() time.Time      { return g.loggedIn }
func (g *grant) GetClientID() string         { return g.audience[0] }
func (g *grant) SetCurrentScopes(s []string) { g.scopes = s }

// CreateAccessToken names a token, which the library encrypts.
func (s *storage) CreateAccessToken(_ context.Context, r op.TokenRequest) (token string, expires time.Time, err error) {
	g := s.grant(r)
	return g.token, g.expires, nil
}

func (s *storage) grant(r op.TokenRequest) *grant {
	g := &grant{scopes: r.GetScopes(), audience: r.GetAudience(), loggedIn: time.Now(), token: rand.Text(), expires: time.Now().Add(accessLifetime)}
	if known, is := r.(interface{ GetAuthTime() time.Time }); is {
		g.loggedIn = known.GetAuthTime()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, old := range s.tokens {
		if time.Now().After(old.expires) {
			delete(s.tokens, name)
		}
	}
	s.tokens[g.token] = g
	return g
}

// CreateAccessAndRefreshTokens also makes a refresh token, in place of the one that was used.
func (s *storage) CreateAccessAndRefreshTokens(_ context.Context, r op.TokenRequest, used string) (token, refresh string, expires time.Time, err error) {
	g := s.grant(r)
	refresh = rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if used != "" {
		old := s.refresh[used]
		if old == nil {
			return "", "", time.Time{}, op.ErrInvalidRefreshToken
		}
		delete(s.refresh, used)
		delete(s.tokens, old.token)
	}
	s.refresh[refresh] = g
	return g.token, refresh, g.expires, nil
}

func (s *storage) TokenRequestByRefreshToken(_ context.Context, refresh string) (op.RefreshTokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.refresh[refresh]
	if g == nil || time.Since(g.expires) > refreshLifetime {
		return nil, op.ErrInvalidRefreshToken
	}
	again := *g
	return &again, nil
}

// TerminateSession ends all tokens: there is one user, and one app.
func (s *storage) TerminateSession(context.Context, string, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
	clear(s.refresh)
	return nil
}

func (s *storage) GetRefreshTokenInfo(_ context.Context, _, refresh string) (user, token string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refresh[refresh] == nil {
		return "", "", op.ErrInvalidRefreshToken
	}
	return User, refresh, nil
}

// RevokeToken ends an access token, by its name, or a refresh token with its access token.
func (s *storage) RevokeToken(_ context.Context, token, _, _ string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.refresh[token]; g != nil {
		delete(s.tokens, g.token)
	}
	delete(s.refresh, token)
	delete(s.tokens, token)
	return nil
}

// request is a login, which begins when the app sends a browser here.
type request struct {
	*oidc.AuthRequest
	id       string
	begun    time.Time
	loggedIn time.Time // zero until the user has given the password
}

func (r *request) GetID() string                      { return r.id }
func (r *request) GetACR() string                     { return "" }
func (r *request) GetAMR() []string                   { return []string{"pwd"} }
func (r *request) GetAudience() []string              { return []string{r.ClientID} }
func (r *request) GetAuthTime() time.Time             { return r.loggedIn }
func (r *request) GetClientID() string                { return r.ClientID }
func (r *request) GetNonce() string                   { return r.Nonce }
func (r *request) GetResponseMode() oidc.ResponseMode { return r.ResponseMode }
func (r *request) GetScopes() []string                { return r.Scopes }
func (r *request) GetSubject() string                 { return User }
func (r *request) Done() bool                         { return !r.loggedIn.IsZero() }

func (r *request) GetCodeChallenge() *oidc.CodeChallenge {
	if r.CodeChallenge == "" {
		return nil
	}
	return &oidc.CodeChallenge{Challenge: r.CodeChallenge, Method: r.CodeChallengeMethod}
}

// CreateAuthRequest begins a login. Nobody is logged in already: the provider has no session.
func (s *storage) CreateAuthRequest(_ context.Context, asked *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	if len(asked.Prompt) == 1 && asked.Prompt[0] == oidc.PromptNone {
		return nil, oidc.ErrLoginRequired()
	}
	r := &request{AuthRequest: asked, id: rand.Text(), begun: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, old := range s.requests {
		if time.Since(old.begun) > loginLifetime {
			delete(s.requests, id)
		}
	}
	for code, id := range s.codes {
		if s.requests[id] == nil {
			delete(s.codes, code)
		}
	}
	s.requests[r.id] = r
	return r, nil
}

var errEnded = errors.New("this login has ended: go back to the app, and log in again")

func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.requests[id]; r != nil && time.Since(r.begun) < loginLifetime {
		return r, nil
	}
	return nil, errEnded
}

func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = id
	return nil
}

func (s *storage) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	id := s.codes[code]
	s.mu.Unlock()
	return s.AuthRequestByID(ctx, id)
}

func (s *storage) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, id)
	return nil
}

// logIn notes that the user has given the password of a login.
func (s *storage) logIn(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests[id]
	if r == nil || time.Since(r.begun) > loginLifetime {
		return errEnded
	}
	r.loggedIn = time.Now()
	return nil
}

package provider

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// storage has logins and tokens, as the library asks for them: op.Storage.
type storage struct {
	Options
	key key

	mu       sync.Mutex
	requests map[string]*request // logins by their names
	codes    map[string]string   // names of logins, by code
	tokens   map[string]*grant   // access tokens by their names
	refresh  map[string]*grant   // refresh tokens
}

func newStorage(o Options) (*storage, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	return &storage{
		Options: o, key: key{rand.Text(), private},
		requests: map[string]*request{}, codes: map[string]string{}, tokens: map[string]*grant{}, refresh: map[string]*grant{},
	}, err
}

// key signs tokens. It is new each time, as is its name.
type key struct {
	id      string
	private *rsa.PrivateKey
}

func (k key) ID() string                                  { return k.id }
func (k key) Key() any                                    { return k.private }
func (k key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

// publicKey is a key as everybody may have it.
type publicKey struct{ key }

func (k publicKey) Key() any                           { return k.private.Public() }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }

func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return s.key, nil }
func (s *storage) KeySet(context.Context) ([]op.Key, error)          { return []op.Key{publicKey{s.key}}, nil }
func (s *storage) Health(context.Context) error                      { return nil }

func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != s.ClientID {
		return nil, errors.New("there is no client with this name")
	}
	return client{s.Options}, nil
}

func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if id != s.ClientID || !same(secret, s.ClientSecret) {
		return errors.New("the client's name or secret is wrong")
	}
	return nil
}

// same compares secrets in a time that tells nothing of them.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// SetUserinfoFromScopes does nothing, as the library asks.
func (s *storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, _ op.IDTokenRequest, scopes []string) error {
	describe(info, scopes)
	return nil
}

func (s *storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, token, _, _ string) error {
	g, err := s.valid(token)
	if err == nil {
		describe(info, g.scopes)
	}
	return err
}

func (s *storage) SetIntrospectionFromToken(_ context.Context, answer *oidc.IntrospectionResponse, token, _, clientID string) error {
	g, err := s.valid(token)
	if err != nil {
		return err
	}
	var info oidc.UserInfo
	describe(&info, g.scopes)
	answer.SetUserInfo(&info)
	answer.Scope, answer.ClientID, answer.Expiration = g.scopes, clientID, oidc.FromTime(g.expires)
	return nil
}

// describe says of the user what scopes ask for.
func describe(info *oidc.UserInfo, scopes []string) {
	info.Subject = User
	for _, scope := range scopes {
		switch scope {
		case oidc.ScopeEmail:
			info.Email, info.EmailVerified = Email, true
		case oidc.ScopeProfile:
			info.PreferredUsername, info.Name, info.GivenName, info.FamilyName = User, "Ada Admin", "Ada", "Admin"
		}
	}
}

func (s *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}

func (s *storage) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errors.New("clients have no keys")
}

func (s *storage) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errors.New("clients have no keys")
}

// valid is what an access token allows, as long as it does.
func (s *storage) valid(token string) (*grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.tokens[token]; g != nil && time.Now().Before(g.expires) {
		return g, nil
	}
	return nil, errors.New("the token is not valid any more")
}

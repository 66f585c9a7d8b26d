package provider

import (
	"net/url"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// client is the app, as the library asks for it: op.HasRedirectGlobs.
type client struct{ Options }

func (c client) GetID() string { return c.ClientID }
func (c client) RedirectURIs() []string {
	return c.addresses(c.Callback)
}
func (c client) PostLogoutRedirectURIs() []string   { return c.addresses("", "/", c.PostLogout) }
func (client) ApplicationType() op.ApplicationType  { return op.ApplicationTypeWeb }
func (client) AuthMethod() oidc.AuthMethod          { return oidc.AuthMethodBasic }
func (client) ResponseTypes() []oidc.ResponseType   { return []oidc.ResponseType{oidc.ResponseTypeCode} }
func (client) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeBearer }
func (client) IDTokenLifetime() time.Duration       { return accessLifetime }
func (client) DevMode() bool                        { return false }
func (client) IsScopeAllowed(string) bool           { return true }
func (client) IDTokenUserinfoClaimsAssertion() bool { return true } // many apps read the address there
func (client) ClockSkew() time.Duration             { return 0 }
func (client) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
func (c client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return c.RestrictAdditionalIdTokenScopes()
}

func (client) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
}

func (client) LoginURL(id string) string { return loginPath + "?id=" + url.QueryEscape(id) }

// RedirectURIGlobs allow every path of an app that does not say which one it comes back to.
func (c client) RedirectURIGlobs() []string {
	if c.Callback != "" {
		return nil
	}
	return c.addresses("/**")
}

// PostLogoutRedirectURIGlobs do the same for logouts, where a star is one part of a path.
func (c client) PostLogoutRedirectURIGlobs() []string {
	if c.PostLogout != "" {
		return nil
	}
	var paths []string
	for n := range 8 {
		paths = append(paths, strings.Repeat("/*", n+1))
	}
	return c.addresses(paths...)
}

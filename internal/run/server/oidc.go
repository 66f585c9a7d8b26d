package server

import (
	"context"
	"fmt"

	"github.com/libresh/libre/internal/run/provider"
)

// startProvider starts an OpenID provider with one user. Browsers and the app reach it by the
// issuer's address; who does not look up the endpoints asks for tokens at the server's own.
func startProvider(_ context.Context, o Options) (*Server, error) {
	secret := o.Secret("clientSecret")
	p, err := provider.New(provider.Options{
		Issuer: o.Site, App: o.App, URL: o.URL, ClientID: role, ClientSecret: secret, Callback: o.Need.Callback, PostLogout: o.Need.PostLogout,
		Password: o.Secret("password"), Hint: o.Hint("password"),
	})
	if err != nil {
		return nil, err
	}
	socket, end, err := o.listen(p)
	if err != nil {
		return nil, err
	}
	inside := fmt.Sprintf("http://%s:%d", o.Host, o.Port)
	return &Server{
		What: fmt.Sprintf("part of libre; log in as %s, the password is %s", provider.User, o.Hint("password")), Socket: socket, Site: p, Close: end,
		Parts: map[string]string{
			"issuer": o.Site, "clientId": role, "clientSecret": secret,
			"authorizationEndpoint": o.Site + provider.AuthorizationPath, "endSessionEndpoint": o.Site + provider.EndSessionPath,
			"tokenEndpoint": inside + provider.TokenPath, "userinfoEndpoint": inside + provider.UserinfoPath, "jwksUri": inside + provider.KeysPath,
		},
	}, nil
}

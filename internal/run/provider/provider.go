// Package provider is an OpenID provider for trying an app: it knows one app and one user, and
// keeps what it gives out in memory. github.com/zitadel/oidc does the protocol.
package provider

import (
	"crypto/rand"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// Options say whom it serves.
type Options struct {
	Issuer       string // its address, without a slash at the end
	App          string // the app's name, for people
	URL          string // the app's address, without a slash at the end
	ClientID     string
	ClientSecret string
	Callback     string // the path of the redirect URI; "" allows every path of the app
	PostLogout   string // the path of the post-logout redirect URI; "" allows every path
	Password     string // of User
	Hint         string // where the password is, for people
}

// User is the name of the user, and Email the address.
const (
	User  = "admin"
	Email = "admin@example.org"
)

// The paths of the endpoints, below the issuer.
const (
	AuthorizationPath = "/authorize"
	TokenPath         = "/oauth/token"
	UserinfoPath      = "/userinfo"
	KeysPath          = "/keys"
	EndSessionPath    = "/end_session"

	loginPath     = "/login"
	loggedOutPath = "/logged-out"
)

// New makes a provider. Its handler answers below the issuer.
func New(o Options) (http.Handler, error) {
	silence()
	s, err := newStorage(o)
	if err != nil {
		return nil, err
	}
	config := &op.Config{
		CryptoKeyId: rand.Text(), DefaultLogoutRedirectURI: loggedOutPath, CodeMethodS256: true, AuthMethodPost: true, GrantTypeRefreshToken: true,
		SupportedScopes: []string{"openid", "profile", "email", "offline_access"},
	}
	_, _ = rand.Read(config.CryptoKey[:]) // it never fails
	protocol, err := op.NewProvider(config, s, op.StaticIssuer(o.Issuer), op.WithAllowInsecure())
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", protocol)
	l := &login{s, op.AuthCallbackURL(protocol)}
	mux.HandleFunc("GET "+loginPath, l.show)
	mux.Handle("POST "+loginPath, op.NewIssuerInterceptor(protocol.IssuerFromRequest).HandlerFunc(l.check))
	mux.HandleFunc("GET "+loggedOutPath, l.loggedOut)
	return mux, nil
}

// silence keeps what the library writes to the program's log away from the terminal: who uses
// the provider sees the same in the browser. What others write there stays.
func silence() {
	to, flags := log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	log.SetOutput(to)
	log.SetFlags(flags)
}

// addresses are a path of the app, at each of the names that it answers to.
func (o Options) addresses(paths ...string) []string {
	var all []string
	for _, path := range paths {
		all = append(all, o.URL+path, strings.Replace(o.URL, "127.0.0.1", "localhost", 1)+path)
	}
	return all
}

// The times that things are valid.
const (
	loginLifetime   = 10 * time.Minute
	accessLifetime  = time.Hour
	refreshLifetime = 30 * 24 * time.Hour
)

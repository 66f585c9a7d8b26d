package registry

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/web"
)

// realms lets a registry name a token server at a private address. go-containerregistry refuses
// such a realm by its text, but accepts one on the registry's own host. So realms passes it the
// realm as a path of that host. The check of the address is made when it is dialled, see
// web.LedBy.
// https://distribution.github.io/distribution/spec/auth/token/
type realms struct{ inner http.RoundTripper }

// realmPath is the prefix of a realm, in base64, that is passed as a path of a registry.
const realmPath = "/libre-realm/"

var realmParameter = lazyregexp.New(`(?i)\b(realm=)"([^"]*)"`)

func (r *realms) RoundTrip(request *http.Request) (*http.Response, error) {
	encoded, isRealm := strings.CutPrefix(request.URL.Path, realmPath)
	if isRealm {
		return r.askRealm(request, encoded)
	}
	response, err := r.inner.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusUnauthorized {
		for i, challenge := range response.Header["Www-Authenticate"] {
			response.Header["Www-Authenticate"][i] = showRealm(challenge, response.Request.URL)
		}
	}
	return response, err
}

// showRealm replaces a realm that the library would refuse by a path of the host that
// names it.
func showRealm(challenge string, from *url.URL) string {
	if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(challenge)), "bearer") {
		return challenge
	}
	return realmParameter().ReplaceAllStringFunc(challenge, func(parameter string) string {
		parts := realmParameter().FindStringSubmatch(parameter)
		realm, err := from.Parse(parts[2]) // some registries name a path only
		if err != nil || realm.Host == from.Host && realm.Scheme == from.Scheme {
			return parameter
		}
		shown := url.URL{Scheme: from.Scheme, Host: from.Host, Path: realmPath + base64.RawURLEncoding.EncodeToString([]byte(realm.String()))}
		return fmt.Sprintf("%s%q", parts[1], shown.String())
	})
}

// askRealm sends a request for a token to the realm.
func (r *realms) askRealm(request *http.Request, encoded string) (*http.Response, error) {
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the token server: %w", err)
	}
	realm, err := url.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("reading the address of the token server: %w", err)
	}
	registry := *request.URL
	if realm.Scheme != "https" && (realm.Scheme != "http" || registry.Scheme != "http") {
		return nil, fmt.Errorf("%s redirects logins to %s://%s without TLS: not followed", registry.Host, realm.Scheme, realm.Host)
	}
	query := realm.Query()
	for name, values := range request.URL.Query() {
		query[name] = values
	}
	realm.RawQuery = query.Encode()
	asked := request.Clone(web.Repeatable(web.LedBy(request.Context(), &registry)))
	asked.URL, asked.Host = realm, realm.Host
	asked.RequestURI = ""
	// The library would follow the token server's redirects as the registry's.
	client := http.Client{Transport: r.inner, CheckRedirect: staysInTLS}
	response, err := client.Do(asked)
	return response, web.WithoutURL(err)
}

// staysInTLS refuses redirects of a token server to an address without TLS.
func staysInTLS(request *http.Request, via []*http.Request) error {
	if len(via) > 10 {
		return errors.New("redirected more than 10 times")
	}
	if request.URL.Scheme != "https" && via[0].URL.Scheme == "https" {
		return fmt.Errorf("%s redirects to an address without TLS", via[0].URL.Host)
	}
	return nil
}

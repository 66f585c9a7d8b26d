//go:build interop

package provider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// Chromium finds the provider by a name that ends in .localhost, logs in by keyboard, and comes
// back to the app. axe finds nothing wrong with the pages, which fit a small phone.
func TestInteropLoginInABrowser(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "state ", r.FormValue("state")) }))
	defer app.Close()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	defer server.Close()
	issuer := strings.Replace(server.URL, "127.0.0.1", "oidc.localhost", 1)
	var err error
	handler, err = New(Options{
		Issuer: issuer, App: "guestbook", URL: app.URL, ClientID: "app", ClientSecret: "secret", Callback: "/callback", Password: "p&ssword",
		Hint: "LIBRE_OIDC_PASSWORD in /home/louise/.local/state/libre/run/guestbook/secrets.env",
	})
	if err != nil {
		t.Fatal(err)
	}
	out := testkit.Browser(t, "testdata/login.cjs", issuer+AuthorizationPath+"?client_id=app&response_type=code&scope=openid&state=ours&redirect_uri="+app.URL+"/callback", "p&ssword")
	var seen struct {
		Titles, Errors, Violations, Wide []string
		Body                             string
	}
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := []string{"Log in to guestbook", "Error: Log in to guestbook"}; !reflect.DeepEqual(seen.Titles, want) || seen.Body != "state ours" {
		t.Errorf("titles %q, want %q; back with %q", seen.Titles, want, seen.Body)
	}
	if len(seen.Errors)+len(seen.Violations)+len(seen.Wide) > 0 {
		t.Errorf("errors %q, violations %q, wider than the phone: %q", seen.Errors, seen.Violations, seen.Wide)
	}
}

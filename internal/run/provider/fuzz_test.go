package provider

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest asks the provider without the password: nobody is logged in, and a browser is
// led to no other host.
func FuzzRequest(f *testing.F) {
	h, err := New(Options{
		Issuer: "http://oidc.localhost:8081", App: "guestbook", URL: app, ClientID: "app", ClientSecret: "it's secret", Callback: "/callback", PostLogout: "/bye",
		Password: "p&ssword", Hint: "in secrets.env",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, request string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
		if err != nil || strings.Contains(request, "ssword") || strings.Contains(request, "secret") {
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		// The library answers 500 to a form that cannot be read.
		if w.Code >= 500 && !strings.Contains(w.Body.String(), "invalid_request") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		location, err := w.Result().Location()
		if err == nil && location.Host != "" && location.Host != "127.0.0.1:8080" && location.Host != "oidc.localhost:8081" && location.Host != r.Host {
			t.Errorf("led to %s", location)
		}
		if body := w.Body.String(); strings.Contains(body, "access_token") && strings.Contains(body, "eyJ") {
			t.Errorf("a token: %s", body)
		}
	})
}

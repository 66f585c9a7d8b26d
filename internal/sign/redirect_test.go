package sign

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A service that uses TLS cannot redirect a token to plain HTTP.
func TestTokensStayInTLS(t *testing.T) {
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		for _, to := range []string{"http://fulcio.example/other", "http://plain.example", "HTTP://fulcio.example:443/"} {
			var seen []string
			base := roundTripper(func(r *http.Request) (*http.Response, error) {
				body := []byte{}
				if r.Body != nil {
					body, _ = io.ReadAll(r.Body)
				}
				if r.URL.Scheme != "https" {
					seen = append(seen, r.URL.String()+" "+r.Header.Get("Authorization")+" "+string(body))
				}
				recorded := httptest.NewRecorder()
				http.Redirect(recorded, r, to, status)
				return recorded.Result(), nil
			})
			client := http.Client{Transport: &serviceTransport{context.Background(), base}}
			request, err := http.NewRequest(http.MethodPost, "https://fulcio.example/api/v2/signingCert", strings.NewReader("token"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer token")
			if response, err := client.Do(request); err == nil {
				t.Errorf("%d to %s: %s", status, to, response.Status)
			} else if !strings.Contains(err.Error(), "without TLS") {
				t.Errorf("%d to %s: %v", status, to, err)
			}
			if len(seen) > 0 {
				t.Errorf("%d to %s: sent %q", status, to, seen)
			}
		}
	}
}

package git

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// What this machine's git prints when a server refuses.
func TestHiddenRepositoriesAreTold(t *testing.T) {
	for name, test := range map[string]struct {
		status         int
		login          bool
		hidden, noPush bool
	}{
		"no login":                  {http.StatusUnauthorized, false, true, true},
		"a login that is refused":   {http.StatusUnauthorized, true, true, true},
		"a login without the right": {http.StatusForbidden, true, true, true},
		"nothing there":             {http.StatusNotFound, false, true, false},
		"a server that is down":     {http.StatusBadGateway, false, false, false},
		"a request that is wrong":   {http.StatusBadRequest, false, false, false},
		"another status with 40":    {http.StatusGone, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(test.status)
			}))
			defer server.Close()
			place, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			command := Command{Environment: []string{"HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1"}}
			if test.login {
				command.Environment = append(command.Environment, Login(place, "x", "secret")...)
			}
			_, err = command.Run(t.Context(), "ls-remote", server.URL+"/a/b.git")
			var failure *Error
			if !errors.As(err, &failure) {
				t.Fatal(err)
			}
			if IsHidden(failure.Tail) != test.hidden || IsPushRefused(failure.Tail) != test.noPush {
				t.Errorf("hidden %t, push refused %t: %s", IsHidden(failure.Tail), IsPushRefused(failure.Tail), failure.Tail)
			}
		})
	}
}

func TestRefusalsOfServersOverSSHAreTold(t *testing.T) {
	for message, want := range map[string]bool{
		"git@github.com: Permission denied (publickey).":               true,
		"remote: Write access to repository not granted.":              true,
		"remote: Permission to o/r.git denied to x, Permission denied": true,
		"error: failed to push some refs to 'x'":                       false,
		"ssh: Could not resolve hostname x":                            false,
	} {
		if IsPushRefused(message) != want || IsHidden(message) {
			t.Errorf("%s: push refused %t, hidden %t", message, IsPushRefused(message), IsHidden(message))
		}
	}
}

package upstream

import (
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/upstream/forgetest"
	"github.com/libresh/libre/internal/web"
)

// If ca in libre.yaml names a private authority, a forge with its certificate can be used.
// Otherwise the error names the signer, and what to type.
func TestForgeOfAnAuthorityOfOnesOwn(t *testing.T) {
	forge := forgetest.GitHub(t)
	forge.AddTags("coop/site", []forgetest.Tag{{Name: "v1.0.0", Commit: strings.Repeat("1", 40)}})
	place, err := url.Parse(forge.URL)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(place))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	authorities, err := web.ReadAuthorities(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, trusted := range []*web.Authorities{nil, authorities} {
		c, err := New(Config{CacheDir: t.TempDir(), Getenv: func(name string) string {
			return map[string]string{"GITHUB_SERVER_URL": server.URL, "GITHUB_API_URL": server.URL + "/api/v3"}[name]
		}, Authorities: trusted})
		if err != nil {
			t.Fatal(err)
		}
		found, err := openGitHub(t, c, "coop/site").Tags(t.Context())
		switch {
		case trusted == nil && (!fault.Is(err, fault.Unreachable) || !strings.Contains(err.Error(), "is not trusted here") || !strings.Contains(fault.Fix(err), "set ca in libre.yaml")):
			t.Errorf("an unknown authority: %v", err)
		case trusted != nil && (err != nil || len(found.All) != 1):
			t.Errorf("tags %v, %v", found, err)
		}
	}
}

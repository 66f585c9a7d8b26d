package nix

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
)

// If this Nix copies files, it can read neither keys nor logins, but it gets its settings.
func TestConfinedNixKeepsItsSettings(t *testing.T) {
	n := requireNix(t)
	home := t.TempDir()
	for name, text := range map[string]string{
		".config/nix/nix.conf":  "!include secret.conf\ninclude more.conf\nextra-experimental-features = ca-derivations\n",
		".config/nix/more.conf": "access-tokens = example.org=hunter2\n", ".config/nix/secret.conf": "max-jobs = 7\n",
		".git-credentials": "http://publisher:hunter2@127.0.0.1\n", ".gitconfig": "[credential]\n\thelper = store\n",
	} {
		file := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{"HOME": home, "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": "", "GIT_CONFIG_GLOBAL": "", "NIX_CONFIG": "cores = 3", "NIX_USER_CONF_FILES": ""} {
		t.Setenv(name, value)
	}
	cmd := n.command(context.Background(), call{program: "nix", operation: []string{"show-config"}})
	var out strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, t.TempDir()
	if err := n.runConfined(context.Background(), cmd, nil, true); err != nil {
		t.Fatal(err, out.String())
	}
	for _, want := range []string{"max-jobs = 7", "cores = 3", "ca-derivations", "access-tokens"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}

	testkit.Require(t, "git")
	asks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer asks.Close()
	dir, _, _ := strangers(t, `{ outputs = _: { libre = builtins.fetchGit { url = "`+asks.URL+`/a.git"; rev = "`+revision+`"; }; }; }`)
	err := opened(t, n, dir)
	if err == nil || !strings.Contains(fault.Fix(err), "--allow-local-inputs") {
		t.Error(err)
	}
}

func TestVersionsThatCopyFiles(t *testing.T) {
	for version, want := range map[string]bool{
		"nix (Nix) 2.8.0": true, "nix (Nix) 2.19.3": true, "nix (Nix) 2.20.0": false, "nix (Nix) 2.34.1": false, "nix (Nix) 3.0": false,
		"nix (Lix, like Nix) 2.93.0": true, "nix (Determinate Nix 3.6.2) 2.29.0": false, "": true, "nix": true, "nix (Nix) 2.18.0pre1": true,
	} {
		if got := copiesFiles(version); got != want {
			t.Errorf("%q: %t", version, got)
		}
	}
}

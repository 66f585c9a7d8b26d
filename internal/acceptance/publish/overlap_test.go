package publish

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// A release is published while Nix still builds outputs for another one. This is true for a
// release that was in the store before, and for one that is built in the same run.
func TestReleasesArePublishedWhileOthersAreBuilt(t *testing.T) {
	t.Parallel()
	const content = "at last\n"
	reg := newWatched(t, "referrers", sign.Bundle)
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range testkit.Patience / (200 * time.Millisecond) {
			tags := reg.tags(t)
			if tags["quick-default:1-1"] != "" && tags["there-default:1-1"] != "" {
				_, _ = w.Write([]byte(content))
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
		t.Errorf("the slow derivation is not built, and only these are published: %v", reg.tags(t))
		http.Error(w, "too late", http.StatusServiceUnavailable)
	}))
	t.Cleanup(gate.Close)
	sum := sha256.Sum256([]byte(content))
	app := func(name, derivation string) string {
		return "{ mkApp, pkgs, ... }:\nmkApp {\n  name = \"" + name + "\"; version = \"1\"; packageVersion = 1;\n  components.web.package = " + derivation + ";\n}\n"
	}
	c := newCatalogue(t, map[string]string{
		"there/default.nix": app("there", `pkgs.writeText "there" "there"`),
		"quick/default.nix": app("quick", `pkgs.runCommand "quick" { } "echo quick > $out"`),
		"slow/default.nix": app("slow", `pkgs.runCommand "slow" { outputHash = "sha256-`+base64.StdEncoding.EncodeToString(sum[:])+
			`"; outputHashMode = "flat"; } "wget -q -O $out `+gate.URL+`"`),
	}, "x86_64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	c.env = append(c.env, "NIX_CONFIG=substitute = false\nmax-jobs = 2")
	c.run("build", "there").want(t, 0)
	pushed := c.run("push", defaults, "--to", reg.prefix()).want(t, 0)
	if got := printedDigests(pushed, "published"); len(got) != 6 {
		t.Errorf("published:\n%s%s", pushed.stdout, pushed.stderr)
	}
	reg.audit(t)
}

// The layers of an image are sent while another image of its release is built. They become visible
// together all the same.
func TestLayersAreSentWhileTheReleaseIsBuilt(t *testing.T) {
	t.Parallel()
	const content = "at last\n"
	reg := newWatched(t, "referrers", sign.Bundle)
	sent, once := make(chan struct{}), sync.Once{}
	reg.setMeddle(func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		if strings.Contains(r.URL.Path, "/both-quick-default/blobs/uploads/") && r.URL.Query().Has("digest") {
			once.Do(func() { close(sent) })
		}
		return false
	})
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-sent:
			if tags := reg.tags(t); len(tags) > 0 {
				t.Errorf("there are tags before the release is built: %v", tags)
			}
			_, _ = w.Write([]byte(content))
		case <-r.Context().Done():
		case <-time.After(testkit.Patience):
			t.Error("no layer is sent before all images are built")
			http.Error(w, "too late", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(gate.Close)
	sum := sha256.Sum256([]byte(content))
	c := newCatalogue(t, map[string]string{"both/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "both"; version = "1"; packageVersion = 1;
  components.quick.package = pkgs.writeText "quick" "quick";
  components.slow.package = pkgs.runCommand "slow" { outputHash = "sha256-` + base64.StdEncoding.EncodeToString(sum[:]) + `"; outputHashMode = "flat"; }
    "wget -q -O $out ` + gate.URL + `";
}
`}, "x86_64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	c.env = append(c.env, "NIX_CONFIG=substitute = false\nmax-jobs = 2")
	pushed := c.run("push", defaults, "--to", reg.prefix()).want(t, 0)
	if got := printedDigests(pushed, "published"); len(got) != 3 {
		t.Errorf("published:\n%s%s", pushed.stdout, pushed.stderr)
	}
	reg.audit(t)
}

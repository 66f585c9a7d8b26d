package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// reproduced has each kind of image: a Go program, a Containerfile based on it with RUN
// steps, debug images and a patched variant.
var reproduced = map[string]string{
	"tool/default.nix": `{ mkApp, pkgs, patchSource, ... }:
mkApp {
  name = "tool"; version = "1.2"; packageVersion = 3;
  source = { path = ./src; date = "2026-01-02"; };
  components.base = {
    package = { source, version, ... }: pkgs.buildGoModule {
      pname = "tool"; inherit version; src = source; vendorHash = null;
      ldflags = [ "-X main.version=${version}" ];
    };
    entrypoint = [ "bin/tool" ];
    volumes = [ "/data" ];
    files."/etc/tool.conf" = { text = "x"; mode = "0640"; uid = 7; };
  };
  components.page = {
    containerfile = "Containerfile";
    bases = { base = "tool/base"; toolbox = "tool/base/debug"; };
  };
  variants.lyon = app: patchSource app [ ./lyon.patch ];
}
`,
	"tool/src/go.mod":  "module example.org/tool\n\ngo 1.22\n",
	"tool/src/main.go": "package main\n\nimport \"os\"\n\nvar version = \"none\"\n\nfunc main() { os.Stdout.WriteString(version) }\n",
	"tool/src/page":    "blue\n",
	"tool/src/Containerfile": `FROM toolbox AS build
USER 0
COPY page /site/page
RUN ["/opt/libre/bin/sh", "-euc", "cd /site; gzip -9nk page; mkdir sub; echo built > sub/made; chmod 700 sub"]
FROM base
COPY --from=build /site /site
`,
	"tool/lyon.patch": "--- a/page\n+++ b/page\n@@ -1 +1 @@\n-blue\n+red\n",
}

// TestTwoColdStoresGiveTheSameDigests builds one catalogue twice, each time from nothing:
// with another Nix store, caches, folder and umask, and once with a store that links equal
// files. A warm store would prove nothing.
func TestTwoColdStoresGiveTheSameDigests(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.Require(t, "nix", "buildah", "unshare", "git")
	first := newCatalogue(t, reproduced)
	second := filepath.Join(t.TempDir(), "another-folder")
	if out, err := exec.Command("cp", "-r", first.dir, second).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	build := func(dir, umask, nixConfig string) string {
		t.Helper()
		store, home := t.TempDir(), t.TempDir()
		// A mount namespace of its own, in which this run sees an empty /nix.
		cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-euc",
			`mount --bind "$1" /nix; umask "$2"; cd "$3"; exec "$4" build --all --package-set host`,
			"sh", store, umask, dir, libre.Program())
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+home, "NIX_CONFIG="+nixConfig)
		stdout, stderr, err := testkit.Output(cmd)
		if err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
		var references []string
		for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
			reference, _, _ := strings.Cut(line, "\t")
			references = append(references, reference)
		}
		return strings.Join(references, "\n")
	}
	one := build(first.dir, "022", "")
	two := build(second, "077", "auto-optimise-store = true")
	if one != two {
		t.Errorf("first\n%s\nsecond\n%s", one, two)
	}
	if count := strings.Count(one, "@sha256:"); count != 6 {
		t.Errorf("%d images, expected 6:\n%s", count, one)
	}
}

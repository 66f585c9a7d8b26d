package build

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// A variant's changes to the source, namely a patch, a substitution and added files, appear
// in both kinds of component and in no other variant.
func TestVariantChangesTheSource(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "buildah", "patch")
	c := newCatalogue(t, map[string]string{
		"site/default.nix": `{ mkApp, pkgs, patchSource, substituteSource, addToSource, ... }:
mkApp {
  name = "site"; version = "1"; packageVersion = 1;
  source.path = ./src;
  components.nix.package = { source, ... }: pkgs.runCommand "pages" { inherit source; } ''
    mkdir $out
    cp -r $source/pages $out/site
  '';
  components.file = { containerfile = "Containerfile"; context = "pages"; user = 1000; };
  variants.lyon = app: addToSource
    (substituteSource (patchSource app [ ./lyon.patch ]) {
      "pages/theme.css" = { "Marianne" = "Roboto"; "#000091" = "$red & \\1 'x' \"y\""; };
    })
    { "pages/logo.svg" = ./lyon.svg; "pages/plugins" = ./plugins; "pages/img" = ./img; };
}
`,
		"site/lyon.patch": `--- a/pages/index.html
+++ b/pages/index.html
@@ -1,2 +1,2 @@
-<h1>Site</h1>
+<h1>Lyon</h1>
 <p>Welcome</p>
`,
		"site/lyon.svg":             "<svg/>\n",
		"site/plugins/map.js":       "map\n",
		"site/img/a.svg":            "<svg>lyon</svg>\n",
		"site/img/sub/c.svg":        "<svg>new</svg>\n",
		"site/src/pages/img/a.svg":  "<svg>a</svg>\n",
		"site/src/pages/img/b.svg":  "<svg>b</svg>\n",
		"site/src/Containerfile":    "FROM scratch\nCOPY . /site\n",
		"site/src/pages/index.html": "<h1>Site</h1>\n<p>Welcome</p>\n",
		"site/src/pages/theme.css":  "body { font: Marianne; color: #000091 }\nh1 { font: Marianne }\n",
	})
	c.libre(t, "build", "--all")
	for _, variant := range []struct {
		name  string
		files map[string]string
	}{
		{"default", map[string]string{
			"index.html": "<h1>Site</h1>\n<p>Welcome</p>\n",
			"theme.css":  "body { font: Marianne; color: #000091 }\nh1 { font: Marianne }\n",
		}},
		{"lyon", map[string]string{
			"index.html":     "<h1>Lyon</h1>\n<p>Welcome</p>\n",
			"theme.css":      "body { font: Roboto; color: $red & \\1 'x' \"y\" }\nh1 { font: Roboto }\n",
			"logo.svg":       "<svg/>\n",
			"plugins/map.js": "map\n",
			"img/a.svg":      "<svg>lyon</svg>\n", // a folder that is merged into the existing one
			"img/b.svg":      "<svg>b</svg>\n",
			"img/sub/c.svg":  "<svg>new</svg>\n",
		}},
	} {
		for component, folder := range map[string]string{"nix": "/app/site/", "file": "/site/"} {
			reference := "site-" + component + "-" + variant.name + ":1-1"
			files := readTree(t, openImage(t, c.dist(), reference, ""))
			for name, want := range variant.files {
				if got := files.text(t, folder+name); got != want {
					t.Errorf("%s: %s has %q, want %q", reference, name, got, want)
				}
			}
			if _, err := files.resolve(folder + "logo.svg"); (err == nil) != (variant.name == "lyon") {
				t.Errorf("%s: logo.svg: %v", reference, err)
			}
			for name := range files {
				if strings.HasSuffix(name, ".orig") || strings.HasSuffix(name, ".rej") {
					t.Errorf("%s: the patch left %s", reference, name)
				}
			}
		}
	}
}

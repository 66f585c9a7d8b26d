package bump

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// If Nix would fetch something other than what was hashed, nothing changes, and the error names the literal.
func TestLiteralsThatDoNotFollowEndTheBump(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, repo := suite(t, forge)
	release(repo, "1.1.0", "better")
	original := c.read(t, definition)
	for _, test := range []struct {
		name     string
		from, to []string // texts of the definition
		want     string
	}{
		{"the archive", []string{"tags/v${version}.tar.gz"}, []string{"tags/v1.0.0.tar.gz"},
			"source.archive stays " + forge.URL + "/suite/notes/archive/refs/tags/v1.0.0.tar.gz: it does not follow version; write ${version} in it, or edit it by hand"},
		{"a part of the archive", []string{"tags/v${version}.tar.gz"}, []string{"tags/v${version}.tar.gz?of=1.0.0"}, "in which 1.0.0 does not follow version"},
		{"a tag that is bound elsewhere", []string{"mkApp rec", `tag = "v${version}"`}, []string{"let t = \"v1.0.0\"; in\nmkApp rec", "tag = t"},
			"source.tag stays v1.0.0, expected v1.1.0"},
		{"a date that is computed", []string{`date = "2020-01-01"`}, []string{`date = "2020-01-" + "01"`}, "date"},
		{"a variant's source", []string{"app: substituteSource app"}, []string{`app: substituteSource (app // { source = app.source // { archive = "` + forge.URL + `/suite/notes/archive/refs/tags/v1.0.0.tar.gz"; }; })`},
			"v1.0.0.tar.gz"},
		{"a variant's tag", []string{"app: substituteSource app"}, []string{`app: substituteSource (app // { source = app.source // { tag = "v1.0.0"; }; })`},
			"variant lyon: its source stays at v1.0.0, expected v1.1.0: it does not follow version"},
		{"a file of the project", []string{`mkdir -p $out/site`}, []string{`: ${pkgs.fetchurl { url = "` + forge.URL + `/suite/notes/releases/download/v1.0.0/fonts.zip"; hash = "sha256-CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA="; }}; mkdir -p $out/site`},
			"releases/download/v1.0.0/fonts.zip is fetched as before: 1.0.0 in it does not follow version; write ${version} in it, and move its hash to hashes"},
		{"a file beside the source", []string{`mkdir -p $out/site`}, []string{`: ${pkgs.fetchurl { url = "` + forge.URL + `/suite/notes/archive/refs/tags/v${version}.tar.gz?x"; hash = "sha256-CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA="; }}; mkdir -p $out/site`},
			"sha256-CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA="},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := original
			for i := range test.from {
				if !strings.Contains(text, test.from[i]) {
					t.Fatalf("the definition lacks %s", test.from[i])
				}
				text = strings.Replace(text, test.from[i], test.to[i], 1)
			}
			c.write(t, definition, text)
			c.commit(t, test.name)
			refused(t, c, test.want)
		})
	}
}

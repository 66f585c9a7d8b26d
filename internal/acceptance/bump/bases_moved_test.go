package bump

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// movingBases is an app whose Containerfile's bases have other tags in each version.
const movingBases = `{ mkApp, ... }:
let
  shared = { "%[3]s/both:1" = "%[4]s"; };
in
mkApp rec {
  name = "page"; version = "0.9.0"; packageVersion = 1;
  source = {
    github = "suite/page"; tag = "v${version}"; commit = "%[2]s";
    hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    archive = "%[1]s/suite/page/archive/refs/tags/v${version}.tar.gz";
  };
  components.web = {
    containerfile = "web"; # as upstream has it
    bases = {
      "%[3]s/base:1" = "%[5]s"; # the base
      "%[3]s/own:1" = "tool/bin";
    };
  };
  components.job = {
    containerfile = "job";
    bases."%[3]s/any" = "%[6]s";
    bases."%[3]s/mine" = "tool/bin";
    bases."%[3]s/base:1" = "%[5]s";
  };
  components.one = { containerfile = "one"; bases = shared; };
  components.two = { containerfile = "two"; bases = shared; };
}
`

func pageFiles(host, tag string) map[string]string {
	from := func(images ...string) string {
		text := ""
		for _, image := range images {
			text += "FROM " + host + "/" + image + "\n"
		}
		return text
	}
	return map[string]string{
		"web": "ARG TAG=" + tag + "\nFROM " + host + "/base:${TAG} AS base\nFROM " + host + "/own:" + tag + "\nCOPY --from=base / /\n",
		"job": from("any:"+tag+" AS any", "mine:"+tag+" AS mine", "base:"+tag+" AS base", "base:1 AS old") + "COPY --from=any / /\nCOPY --from=mine / /\nCOPY --from=base / /\n",
		"one": from("both:" + tag), "two": from("both:1"),
	}
}

// If upstream changes the tags of its bases, the pins follow, with the digests of the new
// tags. An image of the catalogue stays one. Bases that cannot be followed are reported.
func TestBasesFollowUpstream(t *testing.T) {
	host, push := hub(t)
	forge := forgetest.GitHub(t)
	c, _ := suite(t, forge)
	repo := forge.AddRepo("suite/page")
	repo.Tag("v0.9.0", repo.Commit(pageFiles(host, "0")))
	commit := repo.Commit(pageFiles(host, "1"))
	repo.Tag("v1.0.0", commit)
	base, anyTag, both := push("base:1"), push("any:1"), push("both:1")
	text := fmt.Sprintf(movingBases, forge.URL, commit, host, both, base, anyTag)
	add := func(name, text string) {
		if err := os.MkdirAll(filepath.Join(c.dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		c.write(t, name, text)
		c.git(t, "add", name)
	}
	add("apps/page/default.nix", text)
	add("apps/tool/default.nix", "{ mkApp, pkgs, ... }: mkApp { name = \"tool\"; version = \"1\"; packageVersion = 1; components.bin.package = pkgs.writeText \"bin\" \"\"; }\n")
	c.run(t, 0, "bump", "page") // the hash of the source
	text = c.read(t, "apps/page/default.nix")
	c.commit(t, "A page")

	newBase, newAny := push("base:2"), push("any:2")
	push("both:2")
	next := repo.Commit(pageFiles(host, "2"))
	repo.Tag("v1.1.0", next)
	got := c.run(t, 0, "bump", "page")
	want := strings.NewReplacer(
		`version = "1.0.0"`, `version = "1.1.0"`, commit, next,
		`"`+host+`/own:1"`, `"`+host+`/own:2"`, anyTag, newAny,
		`      "`+host+`/base:1" = "`+base+`"; # the base`, `      "`+host+`/base:2" = "`+newBase+`"; # the base`,
	).Replace(text)
	now := c.read(t, "apps/page/default.nix")
	if diff := cmp.Diff(withoutHash(want), withoutHash(now)); diff != "" {
		t.Errorf("the definition (-want +got):\n%s", diff)
	}
	for _, want := range []string{
		host + "/base:1 is " + host + "/base:2 now: its pin components.web.bases." + host + "/base:1 is rewritten, to " + newBase,
		host + "/own:1 is " + host + "/own:2 now: its pin components.web.bases." + host + "/own:1 is rewritten, the catalogue's own tool/bin replaces it",
		host + "/any is " + host + "/any:2 now: its pin components.job.bases." + host + "/any is rewritten, to " + newAny,
		host + "/mine is " + host + "/mine:2, was " + host + "/mine:1: replaced by the catalogue's own tool/bin, by components.job.bases." + host + "/mine",
		"page/one: base " + host + "/both:1 is " + host + "/both:2 in the Containerfile now, sha256:",
		"components.one.bases." + host + "/both:1 is written in one place with components.two.bases." + host + "/both:1, which keeps its tag: write them separately",
	} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("it does not say %q:\n%s", want, got.stderr)
		}
	}

	// If the registry does not return the digest of the new tag, none is written.
	c.commit(t, "1.1.0")
	repo.Tag("v1.2.0", repo.Commit(pageFiles(host, "3")))
	push("any:3")
	lost := c.run(t, 0, "bump", "page")
	if !strings.Contains(lost.stderr, "base "+host+"/base:2 is "+host+"/base:3 now; its digest is unknown, libre bump --inputs adds it later: ") {
		t.Errorf("an unknown digest:\n%s", lost.stderr)
	}
	if diff := c.read(t, "apps/page/default.nix"); !strings.Contains(diff, host+`/base:2" = "`+newBase) {
		t.Errorf("an unknown digest:\n%s", diff)
	}
}

func withoutHash(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "hash = ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// If tags moved in a source that is not bumped, check names the pins, and --inputs rewrites
// them. Replacing an image of the catalogue by somebody else's is never suggested, and such
// an image is not built.
func TestInputsRewritesPinsOfMovedTags(t *testing.T) {
	host, push := hub(t)
	first, second := push("base:1"), push("base:2")
	c := catalogue{dir: libre.Catalogue(t, map[string]string{
		"site/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "site"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.web = {
    containerfile = "Containerfile";
    bases = {
      "` + host + `/base:1" = "` + first + `";
      "example/own:1" = "site/tool";
    };
  };
  components.tool.package = pkgs.writeText "tool" "a tool";
}
`,
		"site/src/Containerfile": "FROM " + host + "/base:2 AS base\nFROM docker.io/example/own:2-alpine\nCOPY --from=base / /\n",
	}, "x86_64-linux")}
	c.git(t, "commit", "--quiet", "--message", "A catalogue")
	c.write(t, "libre.yaml", "sign: none\n")
	checked := c.run(t, 1, "check", "--to", host)
	want := "site/web\tContainerfile:2: the base is docker.io/example/own:2-alpine, but components.web.bases has site/tool/default for example/own:1: rename the key to example/own:2-alpine, or remove its tag to match any\tlibre bump --inputs\n" +
		"site/web\tContainerfile:1: the base is " + host + "/base:2, but components.web.bases has a digest for " + host + "/base:1: rename the key to " + host + "/base:2, with its digest\tlibre bump --inputs\n"
	if !sameLines(checked.stdout, want) {
		t.Errorf("check:\n%s\nwant:\n%s", checked.stdout, want)
	}
	if built := c.run(t, 3, "build", "site/web/default"); !strings.Contains(built.stderr, "the base is docker.io/example/own:2-alpine, but components.web.bases has site/tool/default for example/own:1") {
		t.Errorf("build:\n%s", built.stderr)
	}
	c.run(t, 0, "bump", "--inputs")
	want = `--- a/apps/site/default.nix
+++ b/apps/site/default.nix
-  name = "site"; version = "1.0"; packageVersion = 1;
+  name = "site"; version = "1.0"; packageVersion = 2;
-      "` + host + `/base:1" = "` + first + `";
-      "example/own:1" = "site/tool";
+      "` + host + `/base:2" = "` + second + `";
+      "example/own:2-alpine" = "site/tool";
`
	if diff := cmp.Diff(want, c.difference(t)); diff != "" {
		t.Errorf("--inputs (-want +got):\n%s", diff)
	}
	c.run(t, 0, "check", "--to", host)
}

func sameLines(a, b string) bool {
	return cmp.Equal(slices.Sorted(strings.Lines(a)), slices.Sorted(strings.Lines(b)))
}

package bump

import (
	"fmt"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// hub starts a registry with base images.
func hub(t *testing.T) (host string, push func(image string) (digest string)) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host = strings.TrimPrefix(server.URL, "http://")
	return host, func(image string) string {
		index, err := random.Index(100, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		reference, err := name.ParseReference(host + "/" + image)
		if err == nil {
			err = remote.WriteIndex(reference, index)
		}
		digest, hashErr := index.Digest()
		if err != nil || hashErr != nil {
			t.Fatal(err, hashErr)
		}
		return digest.String()
	}
}

// basesOf reads the pins of an app's components.
func basesOf(t *testing.T, c catalogue, app string) map[string]string {
	t.Helper()
	pins := map[string]string{}
	for line := range strings.Lines(c.run(t, 0, "show", app).stdout) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "base" {
			pins[fields[1]] = fields[2]
		}
	}
	return pins
}

// Pins of base images follow their tags. Missing pins are written, and check reports them.
func TestPinsOfBasesFollowTheirTags(t *testing.T) {
	host, push := hub(t)
	first := map[string]string{}
	for _, image := range []string{"base:1", "tools:2", "mounted:3", "lyon:4", "other:5", "unused:6", "alpha:7"} {
		first[image] = push(image)
	}
	c := catalogue{dir: libre.Catalogue(t, map[string]string{
		"site/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "site"; version = "1.0"; packageVersion = 4;
  source.path = ./src;
  components.web = {
    containerfile = "Containerfile"; # as upstream has it
    target = "web";
    args = { BASE = "` + host + `/base:1"; };
    contexts.assets = ./assets;
    bases.toolbox = "site/tool";
    bases."` + host + `/other:5" = "` + first["other:5"] + `";
  };
  components.api = {
    containerfile = "api/Dockerfile";
  };
  components.tool.package = pkgs.writeText "tool" "a tool";
  variants.lyon = app: app // { components = app.components // {
    web = app.components.web // { args.BASE = "` + host + `/lyon:4"; };
  }; };
}
`,
		"site/src/Containerfile": `ARG BASE
FROM ` + host + `/unused:6 AS unused
FROM $BASE AS build
RUN --mount=from=` + host + `/mounted:3,target=/mnt true
FROM ` + host + `/other:5 AS other
FROM toolbox AS web
COPY --from=build / /
COPY --from=other / /
COPY --from=assets / /
COPY --from=` + host + `/tools:2 / /tools
COPY --from=` + host + `/alpha:7@` + first["alpha:7"] + ` / /alpha
`,
		"site/src/api/Dockerfile": "FROM " + host + "/base:1\n",
		"site/assets/logo.svg":    "<svg/>\n",
		// Its source cannot be fetched.
		"far/default.nix": `{ mkApp, ... }:
mkApp {
  name = "far"; version = "1.0"; packageVersion = 1;
  source = { github = "far/away"; tag = "v1.0"; hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; archive = "http://` + host + `/far.tar.gz"; };
  components.web.containerfile = "Dockerfile";
}
`,
		"plain/default.nix": themed["plain/default.nix"],
	}, "x86_64-linux")}
	c.git(t, "commit", "--quiet", "--message", "A catalogue")

	c.write(t, "libre.yaml", "sign: none\n")
	unpinned := c.run(t, 1, "check", "--to", host)
	want := ""
	for _, problem := range [][2]string{{"api", "base:1"}, {"web", "base:1"}, {"web", "mounted:3"}, {"web", "tools:2"}, {"web", "lyon:4"}} {
		want += fmt.Sprintf("site/%s\tbase %s/%s is not pinned by digest\tlibre bump --inputs\n", problem[0], host, problem[1])
	}
	if unpinned.stdout != want || !strings.Contains(unpinned.stderr, "far/web/default: cannot tell whether its bases are pinned without its source: ") {
		t.Errorf("check:\n%s%s\nwant:\n%s", unpinned.stdout, unpinned.stderr, want)
	}

	got := c.run(t, 0, "bump", "--inputs")
	if got.stdout != "site\t1.0-4\t1.0-5\trepacked\n" || !strings.Contains(got.stderr, "far/web/default: cannot check whether its bases are pinned: ") {
		t.Errorf("missing pins:\n%s%s", got.stdout, got.stderr)
	}
	line := func(indent, image string) string {
		return fmt.Sprintf("+%s%q = %q;\n", indent, host+"/"+image, first[image])
	}
	dotted := func(image string) string { return strings.Replace(line("", image), "+", "+    bases.", 1) }
	want = `--- a/apps/site/default.nix
+++ b/apps/site/default.nix
-  name = "site"; version = "1.0"; packageVersion = 4;
+  name = "site"; version = "1.0"; packageVersion = 5;
` + dotted("base:1") + dotted("lyon:4") + dotted("mounted:3") + dotted("tools:2") +
		"+    bases = {\n" + line("      ", "base:1") + "+    };\n"
	if diff := cmp.Diff(want, c.difference(t)); diff != "" {
		t.Errorf("missing pins (-want +got):\n%s", diff)
	}
	c.run(t, 0, "check", "--to", host)
	again := c.run(t, 0, "bump", "--inputs")
	if again.stdout != "" || !strings.Contains(again.stderr, "all inputs are up to date") {
		t.Errorf("again:\n%s%s", again.stdout, again.stderr)
	}
	c.commit(t, "Pins")

	// A tag moves: the pins of both components follow.
	second := push("base:1")
	c.run(t, 0, "bump", "--inputs", "--commit")
	pins := basesOf(t, c, "site")
	for image, digest := range first {
		if image == "base:1" {
			digest = second
		}
		if pin, pinned := pins[host+"/"+image]; pinned && pin != digest {
			t.Errorf("%s is pinned to %s, want %s", image, pin, digest)
		}
	}
	if diff := c.difference(t, "HEAD~"); strings.Count(diff, second) != 2 || strings.Count(diff, "\n") != 2*(1+2+1) {
		t.Errorf("a tag that moved:\n%s", diff)
	}
	if tags := slices.Sorted(maps.Keys(pins)); len(tags) != 6 {
		t.Errorf("pins: %q", tags)
	}

	// If the registry does not answer, one line says so and nothing changes.
	text := c.read(t, "apps/site/default.nix")
	c.write(t, "apps/site/default.nix", strings.ReplaceAll(text, host+"/lyon", "127.0.0.1:1/lyon"))
	before := c.files(t)
	unreachable := c.run(t, 1, "bump", "--inputs")
	if !strings.HasPrefix(unreachable.failure(), "looking at 127.0.0.1:1/lyon:4: ") {
		t.Errorf("an unreachable registry:\n%s", unreachable.stderr)
	}
	if diff := cmp.Diff(before, c.files(t)); diff != "" {
		t.Errorf("an unreachable registry: %s", diff)
	}
}

// Pins that cannot be written are printed with their digests, and hold nothing back. A
// Containerfile that cannot be parsed is a problem of check.
func TestPinsThatCannotBeWrittenAreNamed(t *testing.T) {
	host, push := hub(t)
	first := push("base:1")
	c := catalogue{dir: libre.Catalogue(t, map[string]string{
		"dotted/default.nix": `{ mkApp, ... }:
mkApp {
  name = "dotted"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.web.containerfile = "Containerfile";
}
`,
		"dotted/src/Containerfile": "FROM " + host + "/base:1\n",
		"shared/default.nix": `{ mkApp, ... }:
let
  bases = { "` + host + `/base:1" = "sha256:` + strings.Repeat("0", 64) + `"; };
in
mkApp {
  name = "shared"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.web = { inherit bases; containerfile = "Containerfile"; };
  components.api = { inherit bases; containerfile = "Containerfile"; };
}
`,
		"shared/src/Containerfile": "FROM " + host + "/base:1\n",
		"unclear/default.nix": `{ mkApp, ... }:
mkApp {
  name = "unclear"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.web = { containerfile = "Containerfile"; args.BASE = null; };
}
`,
		"unclear/src/Containerfile": "ARG BASE\nFROM $BASE\n",
	}, "x86_64-linux")}
	c.git(t, "commit", "--quiet", "--message", "A catalogue")
	got := c.run(t, 0, "bump", "--inputs")
	if got.stdout != "shared\t1.0-1\t1.0-2\trepacked\n" {
		t.Errorf("bump --inputs:\n%s%s", got.stdout, got.stderr)
	}
	for _, want := range []string{
		"dotted/web: base " + host + "/base:1 is " + first + " today: apps/dotted/default.nix:5:3: components.web is written as components.web.containerfile: libre edits attributes under their own names only",
		"unclear/web/default: cannot check whether its bases are pinned: Containerfile:2: FROM $BASE: argument BASE has no value",
	} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("it does not say %q:\n%s", want, got.stderr)
		}
	}
	if diff := c.difference(t); strings.Count(diff, first) != 1 || strings.Count(diff, "\n") != 2+2*2 {
		t.Errorf("a pin of two components:\n%s", diff)
	}
	c.commit(t, "Pins")
	if again := c.run(t, 0, "bump", "--inputs"); !strings.Contains(again.stderr, "1 pin of base images must be updated by hand;") || strings.Contains(again.stderr, "all inputs are up to date") {
		t.Errorf("again:\n%s", again.stderr)
	}
	c.write(t, "libre.yaml", "sign: none\n")
	checked := c.run(t, 1, "check", "--to", host)
	if want := "dotted/web\tbase " + host + "/base:1 is not pinned by digest\tlibre bump --inputs\n" +
		"unclear/web\targument BASE is required: set components.web.args.BASE in apps/unclear/default.nix\tedit apps/unclear/default.nix\n"; checked.stdout != want {
		t.Errorf("check:\n%s\nwant:\n%s", checked.stdout, want)
	}
}

// Package nixtest tests libre with Nix of several versions, each on a store of its own.
package nixtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/testkit"
)

var libre testkit.Libre

func TestMain(m *testing.M) { os.Exit(libre.Run(m)) }

const noHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// tool has a source that bump follows, and an output whose hash depends on it.
const tool = `{ mkApp, pkgs, ... }:
mkApp rec {
  name = "tool";
  version = "0.9.0";
  packageVersion = 1;
  source = {
    git = "file://%s";
    rev = "%s";
    hash = "%s";
  };
  hashes.deps = "%s";
  components.web = {
    package = { source, hashes, ... }: let
      deps = pkgs.runCommand "deps" { inherit source; outputHash = hashes.deps; outputHashMode = "recursive"; } "mkdir $out; cp $source/deps.txt $out";
    in pkgs.runCommand "web" { inherit source deps; } "mkdir -p $out/site; cp $source/page.txt $deps/deps.txt $out/site";
    files."/etc/tool.conf" = { text = "x"; mode = "0640"; uid = 7; };
  };
  variants.lyon = app: app;
}
`

var failing = map[string]string{
	"broken/default.nix": `{ mkApp, pkgs, ... }: mkApp { name = "broken"; version = "1"; packageVersion = 1;
  components.web.package = { ... }: pkgs.runCommand "broken" { } "echo this went wrong >&2; exit 1"; }
`,
	"wrong/default.nix": `{ mkApp, pkgs, ... }: mkApp { name = "wrong"; version = "1"; packageVersion = 1;
  components.web.package = { ... }: pkgs.runCommand "wrong" { outputHash = "` + noHash + `"; outputHashMode = "recursive"; } "mkdir $out; echo x > $out/x"; }
`,
}

// upstream is a git repository with releases of tool; release adds one, and gives its
// commit.
func upstream(t *testing.T) (dir string, release func(version string) string) {
	t.Helper()
	dir = libre.TempDir(t)
	git := func(args ...string) string {
		return strings.TrimSpace(libre.Tool(t, "git", append([]string{"-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.org"}, args...)...))
	}
	git("init", "--quiet")
	return dir, func(version string) string {
		for _, file := range []string{"page.txt", "deps.txt"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(file+" of "+version+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		git("add", "--all")
		git("commit", "--quiet", "--message", version)
		git("tag", "v"+version)
		return git("rev-parse", "HEAD")
	}
}

// host is a registry that lists referrers.
func host(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/apps"
}

// dependency is one of a provenance's resolvedDependencies.
type dependency struct {
	Name, URI string
	Digest    map[string]string
}

// provenance reads what is attached to the first image that push printed, as anybody
// would.
func provenance(t *testing.T, pushed string) (dependencies []dependency, nix string) {
	t.Helper()
	reference := regexp.MustCompile(`(\S+):[^:@\s]+(@sha256:[0-9a-f]{64})`).FindStringSubmatch(pushed)
	if reference == nil {
		t.Fatalf("nothing was pushed:\n%s", pushed)
	}
	digest, err := name.NewDigest(reference[1]+reference[2], name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Referrers(digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, referrer := range manifest.Manifests {
		image, err := remote.Image(digest.Context().Digest(referrer.Digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		layers, err := image.Layers()
		if err != nil || len(layers) == 0 {
			continue
		}
		content, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(content)
		content.Close()
		if err != nil {
			t.Fatal(err)
		}
		var bundle struct{ DSSEEnvelope struct{ Payload string } }
		if json.Unmarshal(text, &bundle) != nil {
			continue
		}
		payload, err := base64.StdEncoding.DecodeString(bundle.DSSEEnvelope.Payload)
		if err != nil {
			t.Fatal(err)
		}
		var statement struct {
			PredicateType string
			Predicate     struct {
				BuildDefinition struct {
					ResolvedDependencies []dependency
				}
				RunDetails struct {
					Builder struct{ Version map[string]string }
				}
			}
		}
		if json.Unmarshal(payload, &statement) == nil && statement.PredicateType == "https://slsa.dev/provenance/v1" {
			return statement.Predicate.BuildDefinition.ResolvedDependencies, statement.Predicate.RunDetails.Builder.Version["nix"]
		}
	}
	t.Fatalf("%s has no provenance", digest)
	return nil, ""
}

// references are the first column of what build and push print.
func references(stdout string) string {
	return regexp.MustCompile(`(?m)\t.*$`).ReplaceAllString(stdout, "")
}

// whole does all that libre does with a Nix, and gives the images before and after an
// update, and the definition after it.
func whole(t *testing.T, m machine, version string) (images, definition string) {
	registry := host(t)
	m.run(t, 0, "keygen")
	if err := os.WriteFile(filepath.Join(m.dir, "libre.yaml"), []byte("sign:\n  key: cosign.key\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, _ := m.run(t, 0, "doctor"); !strings.Contains(got, "nix evaluation\tok\t") {
		t.Errorf("doctor:\n%s", got)
	}
	if got, _ := m.run(t, 0, "list"); !strings.Contains(got, "tool\t1.0.0-1\tweb\tdefault debug lyon") {
		t.Errorf("list:\n%s", got)
	}
	if got, _ := m.run(t, 0, "show", "tool"); !strings.HasPrefix(got, "tool 1.0.0-1\n") {
		t.Errorf("show:\n%s", got)
	}
	if got, _ := m.run(t, 10, "bump", "tool", "--check"); !strings.Contains(got, "tool\t1.0.0-1\t1.1.0-1\toutdated") {
		t.Errorf("bump --check:\n%s", got)
	}
	if found := m.toolchains(t); len(found) != 0 {
		t.Errorf("metadata put a toolchain into the store: %v", found)
	}
	if got, _ := m.run(t, 0, "plan", "tool", "--to", registry); strings.Count(got, "\tbuild\t") != 3 {
		t.Errorf("plan:\n%s", got)
	}
	first, _ := m.run(t, 0, "build", "tool")
	if got, _ := m.run(t, 0, "build", "tool"); references(got) != references(first) || strings.Contains(got, "built") {
		t.Errorf("built again:\n%s", got)
	}
	pushed, _ := m.run(t, 0, "push", "tool", "--to", registry)
	m.run(t, 0, "verify", "tool", "--to", registry)
	m.run(t, 0, "verify", "tool/web/default", "--rebuild", "--to", registry)
	_, ran := provenance(t, pushed)
	if !strings.Contains(ran, version) {
		t.Errorf("the provenance names %q, expected Nix %s", ran, version)
	}

	m.run(t, 0, "bump", "tool")
	text, err := os.ReadFile(filepath.Join(m.dir, "apps/tool/default.nix"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `version = "1.1.0"`) {
		t.Errorf("after bump:\n%s", text)
	}
	second, _ := m.run(t, 0, "build", "tool")

	if _, said := m.run(t, 3, "build", "broken/web/default"); !strings.Contains(said, "this went wrong") {
		t.Errorf("a build that fails:\n%s", said)
	}
	if _, said := m.run(t, 3, "build", "wrong/web/default"); !strings.Contains(said, "hash mismatch: the definition has "+noHash+", the source is sha256-") {
		t.Errorf("another hash:\n%s", said)
	}
	return references(first + second), string(text)
}

// What people have: Nix from Debian's oldest release that libre works with to the
// newest, no nix.conf, an empty home. Images are the same with all of them.
func TestDigestsAreTheSameWithEveryNix(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.Require(t, "nix", "git", "go", "busybox", "unshare")
	source, release := upstream(t)
	commit := release("0.9.0")
	files := map[string]string{"tool/default.nix": fmt.Sprintf(tool, source, commit, noHash, noHash)}
	for name, content := range failing {
		files[name] = content
	}
	written := libre.Catalogue(t, files, "x86_64-linux")

	// The hashes of the first version are asked of libre itself.
	oldest := newMachine(t, written, "")
	oldest.flags = local
	release("1.0.0")
	oldest.run(t, 0, "bump", "tool")
	release("1.1.0")

	system := regexp.MustCompile(`[0-9.]+$`).FindString(strings.TrimSpace(libre.Tool(t, "nix", "--version")))
	images, definition := "", ""
	for _, nix := range []struct{ name, version string }{{"the system's", system}, {"trixie", "2.26"}, {"forky", "2."}} {
		t.Run(nix.name, func(t *testing.T) {
			bin := ""
			if nix.name != "the system's" {
				bin = testkit.DebianNix(t, nix.name)
			}
			dir := libre.TempDir(t)
			libre.Tool(t, "cp", "-a", written+"/.", dir)
			here := newMachine(t, dir, bin)
			here.flags = local
			gotImages, gotDefinition := whole(t, here, nix.version)
			if images == "" {
				images, definition = gotImages, gotDefinition
			}
			if count := strings.Count(gotImages, "@sha256:"); gotImages != images || count != 6 {
				t.Errorf("%d images\n%s\nwith the system's Nix\n%s", count, gotImages, images)
			}
			if gotDefinition != definition {
				t.Errorf("bump wrote\n%s\nwith the system's Nix\n%s", gotDefinition, definition)
			}
		})
	}
}

// local lets a source be a repository of this machine.
var local = []string{"--allow-local-inputs"}

// With every Nix a catalogue is evaluated as it is, and copies nothing of this machine.
func TestNoNixCopiesFilesOfThisMachine(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.Require(t, "nix", "git", "go", "busybox", "unshare")
	const honest = `{ mkApp, pkgs, ... }: mkApp { name = "one"; version = "1"; packageVersion = 1;
  components.web.package = { ... }: pkgs.runCommand "one" { } "mkdir $out; echo one > $out/page"; }
`
	for _, nix := range []string{"the system's", "trixie", "forky"} {
		t.Run(nix, func(t *testing.T) {
			bin := ""
			if nix != "the system's" {
				bin = testkit.DebianNix(t, nix)
			}
			canary := filepath.Join(t.TempDir(), "canary")
			if err := os.WriteFile(canary, []byte("canary"), 0o600); err != nil {
				t.Fatal(err)
			}
			m := newMachine(t, libre.Catalogue(t, map[string]string{"one/default.nix": honest}, "x86_64-linux"), bin)
			m.run(t, 0, "list")
			m.run(t, 0, "build", "--all", "--output", libre.TempDir(t))
			for _, read := range []string{
				`fetchurl { url = "fi" + "le://` + canary + `"; sha256 = "` + noHash + `"; }`,
				`fetchTarball { url = "fi" + "le://` + canary + `"; sha256 = "` + noHash + `"; }`,
				`path { path = "` + canary + `"; sha256 = "` + noHash + `"; }`,
			} {
				stolen := strings.Replace(honest, `"mkdir`, `"${builtins.`+read+`}; mkdir`, 1)
				if err := os.WriteFile(filepath.Join(m.dir, "apps/one/default.nix"), []byte(stolen), 0o644); err != nil {
					t.Fatal(err)
				}
				_, said := m.run(t, anyFailure, "build", "--all", "--output", libre.TempDir(t))
				t.Log(said)
				if found, _ := exec.Command("grep", "-rlsx", "canary", filepath.Join(m.nix, "store")).Output(); len(found) > 0 {
					t.Errorf("%s: copied into %s", read, found)
				}
			}
		})
	}
}

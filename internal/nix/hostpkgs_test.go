package nix

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// hostImages evaluates a catalogue with the host package set, and builds what its images need.
// It returns failures by derivation.
func hostImages(t *testing.T, archive string, systems ...string) ([]*catalog.Spec, map[string]*BuildFailure) {
	t.Helper()
	n := requireNix(t)
	n.AllowLocalInputs = strings.Contains(archive, "file://") // a local source
	ctx := context.Background()
	catalogue, err := n.OpenCatalogue(ctx, writeCatalogue(t, archive), HostPackageName)
	if err != nil {
		t.Fatal(err)
	}
	if systems == nil {
		systems = []string{"x86_64-linux"}
	}
	evaluation, err := catalogue.Evaluate(ctx, Request{Patterns: []catalog.Pattern{{App: "*", Component: "*", Variant: "default"}}, Systems: systems})
	if err != nil {
		t.Fatal(err)
	}
	for app, err := range evaluation.Failures {
		t.Fatalf("%s: %v", app, err)
	}
	var outputs []Output
	for _, image := range evaluation.Images {
		outputs = append(outputs, Output{*image.Rootfs().Drv, image.Rootfs().Out})
	}
	failures, err := n.Realise(ctx, outputs, t.TempDir(), func(LogEvent) {})
	if err != nil {
		t.Fatal(err)
	}
	return evaluation.Images, failures
}

func noFailures(t *testing.T, failures map[string]*BuildFailure) {
	t.Helper()
	for _, failure := range failures {
		t.Fatalf("%s: %s", failure, strings.Join(failure.Tail, "\n"))
	}
}

// The same vendorHash works with nixpkgs and with the host package set. These hashes come from
// nixpkgs.
func TestVendorHashesOfNixpkgs(t *testing.T) {
	app := func(name, version, source, vendor string) string {
		return fmt.Sprintf(`-- apps/%s/default.nix --
{ mkApp, pkgs, ... }:
mkApp rec {
  name = "%s"; version = "%s"; packageVersion = 1;
  source = { goModule = "github.com/pocketbase/pocketbase"; version = "v${version}"; hash = "%s"; };
  components.modules.package = { source, version, ... }: (pkgs.buildGoModule {
    pname = "pocketbase"; inherit version; src = source; vendorHash = "%s";
  }).goModules;
}
`, name, name, version, source, vendor)
	}
	_, failures := hostImages(t,
		app("new", "0.34.0", "sha256-HqiwJW58yD+wMmnA3s/HbhLL3qoly5o6RztPnOoulFI=", "sha256-Ri9fgCMfWqc/TBteSm8gAUkjserhfg4ZZ8CpofQJOdI=")+
			app("old", "0.25.9", "sha256-gGLS5AQvDpIbFZRAKvTJQmUbfndIZaZENlgomg/eiiM=", "sha256-Th71aNCzWwOfYvVCHFRhppnGKXtJqfHLzl23FuT2pK4="))
	noFailures(t, failures)
}

const goProgram = `-- apps/tool/default.nix --
{ mkApp, pkgs, ... }:
mkApp {
  name = "tool"; version = "1.2"; packageVersion = 1;
  source.path = ./src;
  components.tool = {
    package = { source, version, ... }: pkgs.buildGoModule {
      pname = "tool"; inherit version; src = source; vendorHash = null;
      ldflags = [ "-X main.version=${version}" ];
    };
    entrypoint = [ "bin/tool" ];
  };
}
-- apps/tool/src/go.mod --
module example.org/tool

go 1.22
-- apps/tool/src/main.go --
package main

import "os"

var version = "none"

func main() { os.Stdout.WriteString(version) }
-- apps/tool/src/main_test.go --
package main

import "testing"

func TestVersion(t *testing.T) {
	if version != "none" {
		t.Fatal(version)
	}
}
`

// A program is cross-compiled and static, and does not depend on its toolchain.
func TestBuildGoModule(t *testing.T) {
	images, failures := hostImages(t, goProgram, "x86_64-linux", "aarch64-linux")
	noFailures(t, failures)
	machines := map[string]elf.Machine{"x86_64-linux": elf.EM_X86_64, "aarch64-linux": elf.EM_AARCH64}
	for _, image := range images {
		program, err := elf.Open(filepath.Join(image.Rootfs().Out, "app/bin/tool"))
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		if program.Machine != machines[image.System] {
			t.Errorf("%s: machine %s", image.System, program.Machine)
		}
		if libraries, _ := program.ImportedLibraries(); len(libraries) > 0 {
			t.Errorf("%s: needs %v", image.System, libraries)
		}
		store, err := requireNix(t).ReadStore(context.Background(), []string{image.Rootfs().Out})
		if err != nil {
			t.Fatal(err)
		}
		if closure := store.Closure(image.Rootfs().Out); len(closure) != 3 {
			t.Errorf("%s: closure %v, expected the root, the package and the certificates", image.System, closure)
		}
	}
}

// The CLI and plain `nix build` build the same package.
func TestSameOutputAsNixBuild(t *testing.T) {
	n := requireNix(t)
	ctx := context.Background()
	catalogue, err := n.OpenCatalogue(ctx, writeCatalogue(t, goProgram), HostPackageName)
	if err != nil {
		t.Fatal(err)
	}
	evaluation, err := catalogue.Evaluate(ctx, Request{Patterns: catalog.All, Systems: []string{"x86_64-linux"}})
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "result")
	flake, err := catalogue.flakeFor(ctx, Request{AllSystems: true})
	if err != nil {
		t.Fatal(err)
	}
	cmd := n.command(ctx, call{program: "nix", operation: []string{"build"}, flags: []string{"--out-link", link, "--no-write-lock-file"},
		inputs: flake.Overrides, arguments: []string{".#packages.x86_64-linux.tool-tool-default"}})
	cmd.Dir = catalogue.flake.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	built, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range evaluation.Images {
		if image.Rootfs().Out != built {
			t.Errorf("%s: %s, nix build made %s", image.ID(), image.Rootfs().Out, built)
		}
	}
}

// Archives and files are fetched and changed. Content with another hash is refused.
func TestFetchers(t *testing.T) {
	requireNix(t)
	archive := tarball(t, map[string]string{"top/README": "hello\n", "top/bin/run": "#!/bin/sh\n"})
	mux := http.NewServeMux()
	tries := 0
	mux.HandleFunc("/owner/one/archive/refs/tags/v1.tar.gz", func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries == 1 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		w.Write(archive)
	})
	mux.HandleFunc("/fix(1),x~y.patch", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-hello\n+patched\n")
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	definition := func(name, hash string) string {
		return fmt.Sprintf(`-- apps/%s/default.nix --
{ mkApp, pkgs, ... }:
mkApp {
  name = "%s"; version = "1"; packageVersion = 1;
  source = { github = "owner/one"; tag = "v1"; hash = "%s"; archive = "%s/owner/one/archive/refs/tags/v1.tar.gz"; };
  patches = [ { url = "%s/fix(1),x~y.patch?full&id=1"; hash = "sha256-XY8Nx0bLQSBbL7LBKUT79A3MDFdIR97V7zy63zf6TDE="; } ];
  components.web.package = { source, ... }: pkgs.runCommand "web" { inherit source; } "cp -r $source $out";
}
`, name, name, hash, server.URL, server.URL)
	}
	images, failures := hostImages(t, definition("right", "sha256-zGQWYfZTJu5jCrryZR6Fwcuvsy6knKAOsu4Lx7R7qA8=")+definition("wrong", "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
	for _, image := range images {
		content, err := os.ReadFile(filepath.Join(image.Rootfs().Out, "app/README"))
		switch image.App {
		case "right":
			if string(content) != "patched\n" {
				t.Errorf("README %q, %v", content, err)
			}
			if info, err := os.Stat(filepath.Join(image.Rootfs().Out, "app/bin/run")); err != nil || info.Mode()&0o100 == 0 {
				t.Errorf("bin/run: %v, %v", info, err)
			}
		case "wrong":
			if err == nil {
				t.Error("a source with another hash was built")
			}
		}
	}
	for _, failure := range failures {
		want := "hash mismatch: the definition has sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, the source is sha256-zGQWYfZTJu5jCrryZR6Fwcuvsy6knKAOsu4Lx7R7qA8="
		if failure.Message != want {
			t.Errorf("failure %q, expected %q: %v", failure.Message, want, failure.Tail)
		}
	}
	if len(failures) != 1 {
		t.Errorf("%d failures, expected one", len(failures))
	}
}

// tarball packs files as GitHub does: first a global header with the commit.
func tarball(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	w := tar.NewWriter(compressed)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": strings.Repeat("a", 40)}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"top/README", "top/bin/run"} {
		mode := int64(0o644)
		if strings.Contains(name, "bin/") {
			mode = 0o755
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestDebugToolsOfAnotherSystem(t *testing.T) {
	n := requireNix(t)
	ctx := context.Background()
	catalogue, err := n.OpenCatalogue(ctx, writeCatalogue(t, goProgram), HostPackageName)
	if err != nil {
		t.Fatal(err)
	}
	evaluation, err := catalogue.Evaluate(ctx, Request{Patterns: catalog.All, Systems: []string{"aarch64-linux"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(evaluation.Images) != 2 {
		t.Fatalf("%d images, failures %v", len(evaluation.Images), evaluation.Failures)
	}
	for _, image := range evaluation.Images {
		if skipped := image.Skip != nil; skipped != (image.Variant == "debug") {
			t.Errorf("%s: skip %v", image.ID(), image.Skip)
		}
	}
}

// A git source is fetched by its commit, even if its branch is gone.
func TestGitSource(t *testing.T) {
	n := requireNix(t)
	repository := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", repository, "-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet", "--initial-branch=main")
	git("commit", "--quiet", "--allow-empty", "-m", "first")
	git("checkout", "--quiet", "-b", "release")
	if err := os.WriteFile(filepath.Join(repository, "README"), []byte("from git\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	git("add", "README")
	git("commit", "--quiet", "-m", "second")
	revision := git("rev-parse", "HEAD")
	git("checkout", "--quiet", "main")

	tree := filepath.Join(t.TempDir(), "source")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "README"), []byte("from git\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	source, err := n.AddSource(context.Background(), tree)
	if err != nil {
		t.Fatal(err)
	}
	images, failures := hostImages(t, fmt.Sprintf(`-- apps/one/default.nix --
{ mkApp, pkgs, substituteSource, ... }:
substituteSource (mkApp {
  name = "one"; version = "1"; packageVersion = 1;
  source = { git = "file://%s"; rev = "%s"; hash = "%s"; tag = "v1"; describe = true; };
  components.web.package = { source, ... }: pkgs.runCommand "web" { inherit source; } "cp -r $source $out";
}) { README = { git = "a repository"; }; }
`, repository, revision, source.NarHash))
	noFailures(t, failures)
	content, err := os.ReadFile(filepath.Join(images[0].Rootfs().Out, "app/README"))
	if string(content) != "from a repository\n" {
		t.Errorf("README %q, %v", content, err)
	}
	described := exec.Command("git", "-C", filepath.Join(images[0].Rootfs().Out, "app"), "-c", "safe.directory=*", "describe", "--dirty")
	if out, err := described.CombinedOutput(); err != nil || string(out) != "v1\n" {
		t.Errorf("git describes the source as %q, %v", out, err)
	}
}

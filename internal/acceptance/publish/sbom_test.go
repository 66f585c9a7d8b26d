package publish

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/sign"
)

// packages returns an app of store paths in which components are found. They are larger
// than a mebibyte, so each is a layer. The program's own layer is small. One component is
// in a path that changes and in one that does not. nonce makes the paths unique to this
// test.
func packages(nonce string) map[string]string {
	return map[string]string{"packages/default.nix": `{ mkApp, pkgs, ... }:
let
  large = name: largeWith name { };
  largeWith = name: env: script: pkgs.runCommand name (env // { nonce = "` + nonce + `"; }) ''
    mkdir $out
    echo "$nonce" > $out/nonce
    dd if=/dev/zero of=$out/padding bs=1024 count=1100
    ${script}
  '';
  left = "node_modules/left";
  package = builtins.toJSON { name = "left"; version = "1.3.0"; };
  node = large "unchanged-node" ''
    mkdir -p $out/${left}
    printf %s '${package}' > $out/${left}/package.json
  '';
  python = large "unchanged-python" ''
    for name in one two; do
      info=$out/lib/python3.13/site-packages/$name-1.0.dist-info
      mkdir -p $info
      printf 'Metadata-Version: 2.1\nName: %s\nVersion: 1.0\nRequires-Dist: two\n' $name > $info/METADATA
    done
    ln -s ${node}/${left} $out/left
  '';
  # What it was built from, as buildGoModule says it.
  vendor = builtins.path { path = ./vendor; name = "vendor"; };
  program = largeWith "unchanged-program" { goModules = vendor; } "cp ${builtins.path { path = ./hello; name = "hello"; }} $out/hello";
in
mkApp {
  name = "packages"; version = "1.0"; packageVersion = 1;
  components.web.package = pkgs.runCommand "web" { uses = [ node python program ]; } ''
    mkdir -p $out/${left}
    printf %s '${package}' > $out/${left}/package.json
    echo "$uses" > $out/uses
    echo "as it was" > $out/text
  '';
}
`, "packages/vendor/modules.txt": "# github.com/Masterminds/semver/v3 v3.0.0\n## explicit\n", "packages/vendor/github.com/Masterminds/semver/v3/LICENSE.txt": mit}
}

const mit = `Copyright (C) 2014-2019, Matt Butcher and Matt Farina

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in
all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
THE SOFTWARE.
`

// unchanged lists the store paths of packages that change in no test.
var unchanged = []string{"unchanged-node", "unchanged-python", "unchanged-program"}

// A machine without any layer writes the same SBOMs, byte for byte, as a machine that has
// all layers. It opens no file of a store path that the former release has, unless the
// former SBOM is missing.
func TestColdMachineWritesTheSameSBOM(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, kind string
		format     sign.Format
		lost       bool
	}{
		{"kept", "referrers", sign.Bundle, false},
		{"kept classic", "docker-registry", sign.Classic, false},
		{"lost", "docker-registry", sign.Bundle, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCatalogue(t, packages(rand.Text()), "x86_64-linux")
			c.file(t, "libre.yaml", fmt.Sprintf("sign:\n  key: cosign.key\n  format: %s\n", test.format))
			buildHello(t, filepath.Join(c.dir, "apps/packages/hello"))
			libre.Tool(t, "git", "-C", c.dir, "add", "apps")
			reg := newWatched(t, test.kind, test.format)
			c.run("push", "packages/*/*", "--to", reg.prefix()).want(t, 0)
			formerDefault, formerDebug := "packages-web-default:1.0-1", "packages-web-debug:1.0-1"
			paths := storePaths(t, reg.sbom(t, formerDefault, state.CycloneDXType))
			if test.lost {
				reg.lose(reg.manifest(t, formerDefault), reg.manifest(t, formerDebug))
			}

			c.edit(t, "apps/packages/default.nix", "packageVersion = 1", "packageVersion = 2")
			c.edit(t, "apps/packages/default.nix", "as it was", "as it is")
			cold := c.cold(t)
			opened := watchOpened(t, paths)
			cold.run("push", "packages/*/*", "--to", reg.prefix()).want(t, 0)
			if got := opened(); (len(got) > 0) != test.lost {
				t.Errorf("opened of unchanged store paths: %q", got)
			}
			reg.audit(t)

			for _, variant := range []string{"default", "debug"} {
				refName := "packages-web-" + variant + ":1.0-2"
				checkFound(t, reg.sbom(t, refName, state.CycloneDXType))
				for kind, format := range map[string]string{state.CycloneDXType: "cyclonedx-json", state.SPDXType: "spdx-json"} {
					printed := c.run("sbom", "packages/web/"+variant, "-o", format).want(t, 0)
					if diff := cmp.Diff(indented(t, []byte(printed.stdout)), indented(t, reg.sbom(t, refName, kind))); diff != "" {
						t.Errorf("%s: found in all files, and attested by the cold machine: %s", refName, diff)
					}
					published := c.run("sbom", reg.prefix()+"/"+refName, "-o", format).want(t, 0)
					if published.stdout != printed.stdout {
						t.Errorf("%s: printed of the published image: %s", refName, cmp.Diff(printed.stdout, published.stdout))
					}
				}
			}
			// A release has one document, too. An unpublished release is an error.
			whole := c.run("sbom", reg.prefix()+"/packages-default:1.0-2").want(t, 0)
			if !strings.Contains(whole.stdout, "semver") {
				t.Errorf("the release has no semver:\n%s", whole.stdout)
			}
			c.run("sbom", reg.prefix()+"/packages-default:9.9-9").want(t, 1)
			c.run("sbom", reg.prefix()+"/packages-default:1.0-2", "--check", "bsi").want(t, 1)
			if len(opened()) == 0 {
				t.Error("all files are opened, and nobody saw it")
			}
		})
	}
}

// checkFound checks the components and where they were found.
func checkFound(t *testing.T, cyclonedx []byte) {
	t.Helper()
	document, err := sbom.Read(cyclonedx)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{} // package → names of the store paths that contain it
	for _, c := range document.Components {
		if owner, _, ok := strings.Cut(c.ID, "#"); ok {
			_, name, _ := strings.Cut(filepath.Base(owner), "-")
			got[c.Name] = append(got[c.Name], name)
		}
		if strings.Contains(c.Name, "semver") && c.License != (sbom.License{Expression: "MIT", Concluded: true}) {
			t.Errorf("%s has the licence %+v", c.Name, c.License)
		}
		if c.Name == "one" && (len(c.DependsOn) != 1 || !strings.HasSuffix(c.DependsOn[0], "#pkg:pypi/two@1.0")) {
			t.Errorf("one depends on %v", c.DependsOn)
		}
	}
	for name, in := range map[string][]string{
		"left": {"unchanged-node", "web"}, "one": {"unchanged-python"}, "two": {"unchanged-python"},
		"github.com/Masterminds/semver/v3": {"unchanged-program"},
	} {
		slices.Sort(got[name])
		if diff := cmp.Diff(in, got[name]); diff != "" {
			t.Errorf("%s is in (-want +got): %s", name, diff)
		}
	}
}

func indented(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(text), "", " "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// buildHello builds a program that contains one module.
func buildHello(t *testing.T, to string) {
	t.Helper()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", to, "../../sbom/testdata/hello")
	build.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// manifest returns the digest of a component's image in a registry, for its one platform.
func (w *watched) manifest(t testing.TB, refName string) name.Digest {
	t.Helper()
	tag, err := name.NewTag(w.prefix() + "/" + refName)
	if err != nil {
		t.Fatal(err)
	}
	digests := children(t, tag)
	if len(digests) != 1 {
		t.Fatalf("%s: %v", tag, digests)
	}
	return digests[0]
}

// sbom returns the SBOM of a kind of an image's one platform.
func (w *watched) sbom(t testing.TB, refName, kind string) []byte {
	t.Helper()
	manifest := w.manifest(t, refName)
	statements, err := w.signing.Client.Attachments(manifest).VerifyAttestations(context.Background(), kind, w.signing.Policy)
	if err != nil || len(statements) != 1 {
		t.Fatalf("%s: %d statements, %v", manifest, len(statements), err)
	}
	return statements[0].Predicate
}

// lose makes the registry hide the attachments of some manifests.
func (w *watched) lose(manifests ...name.Digest) {
	w.setMeddle(func(rw http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		lost := slices.ContainsFunc(manifests, func(manifest name.Digest) bool {
			_, hex, _ := strings.Cut(manifest.DigestStr(), ":")
			return strings.Contains(r.URL.Path, "/referrers/sha256:"+hex) || strings.Contains(r.URL.Path, "/manifests/sha256-"+hex)
		})
		if lost {
			http.NotFound(rw, r)
		}
		return lost
	})
}

// storePaths returns the unchanged store paths in an SBOM.
func storePaths(t *testing.T, cyclonedx []byte) []string {
	t.Helper()
	document, err := sbom.Read(cyclonedx)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, c := range document.Components {
		if c.StorePath != "" && slices.ContainsFunc(unchanged, func(name string) bool { return strings.HasSuffix(c.StorePath, "-"+name) }) {
			paths = append(paths, c.StorePath)
		}
	}
	if len(paths) != len(unchanged) {
		t.Fatalf("the image has %v, want %v", paths, unchanged)
	}
	return paths
}

// watchOpened records which files and folders below the paths are opened, until the returned
// function is called. The kernel does not report which process opened them, but no other
// process has a reason to.
func watchOpened(t *testing.T, paths []string) func() []string {
	t.Helper()
	var names []string
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type()&fs.ModeSymlink == 0 {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	watches := map[int32]string{}
	for _, name := range names {
		watch, err := unix.InotifyAddWatch(fd, name, unix.IN_OPEN)
		if err != nil {
			t.Fatal(err)
		}
		watches[int32(watch)] = name
	}
	return func() []string {
		var opened []string
		buffer := make([]byte, 64<<10)
		for {
			n, err := unix.Read(fd, buffer)
			if errors.Is(err, unix.EAGAIN) {
				slices.Sort(opened)
				return slices.Compact(opened)
			}
			if err != nil {
				t.Fatal(err)
			}
			for rest := buffer[:n]; len(rest) > 0; { // struct inotify_event: watch, mask, cookie, length, name
				watch, length := binary.NativeEndian.Uint32(rest), binary.NativeEndian.Uint32(rest[12:])
				opened = append(opened, watches[int32(watch)])
				rest = rest[16+length:]
			}
		}
	}
}

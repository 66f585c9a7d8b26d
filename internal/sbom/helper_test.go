package sbom

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/testkit"
)

var amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}

// missing skips a test, unless all tests must run.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("LIBRE_TEST_ALL") == "1" {
		t.Fatalf("%s is not there", what)
	}
	t.Skipf("%s is not there", what)
}

func subject(name string) Subject {
	return Subject{
		Name: name, Version: "1.2.3-4", Platform: amd64,
		Index:    v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1a", 32)},
		Manifest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("2b", 32)},
		Created:  time.Date(2026, 7, 9, 0, 0, 0, 0, time.UTC),
	}
}

// storePath makes a store path with a hash of one repeated character.
func storePath(char, name string) string {
	return "/nix/store/" + strings.Repeat(char, 32) + "-" + name
}

func pathInfo(char, name string, references ...string) nix.PathInfo {
	return nix.PathInfo{
		Path: storePath(char, name), References: references,
		NarHash: "sha256:" + strings.Repeat("0"+char, 32), NarSize: 1000,
	}
}

// writeImages makes a layout with an index of images, and returns the digests of their
// manifests. Each image has one layer with the given files.
func writeImages(t testing.TB, images ...map[string]string) (dir string, manifests []v1.Hash) {
	t.Helper()
	dir = t.TempDir()
	index := v1.ImageIndex(empty.Index)
	for _, files := range images {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		folders := map[string]bool{".": true}
		for name, content := range files {
			for folder := path.Dir(name); !folders[folder]; folder = path.Dir(folder) {
				folders[folder] = true
				header := &tar.Header{Name: folder + "/", Typeflag: tar.TypeDir, Mode: 0o755}
				if err := w.WriteHeader(header); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o755}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b.Bytes())), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		image, err := mutate.AppendLayers(empty.Image, layer)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config.OS, config.Architecture = amd64.OS, amd64.Architecture
		if image, err = mutate.ConfigFile(image, config); err != nil {
			t.Fatal(err)
		}
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &amd64}})
		manifests = append(manifests, digest)
	}
	if _, err := layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index})); err != nil {
		t.Fatal(err)
	}
	return dir, manifests
}

// goProgram builds the test's program, which contains one module.
func goProgram(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hello")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", file, "./testdata/hello")
	build.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(program)
}

// encode writes a document in both formats and validates them.
func encode(t *testing.T, d *Document) (cyclonedx, spdx []byte) {
	t.Helper()
	if len(d.Tools) == 0 {
		d.Tools = []Tool{{"libre", "0.1.0"}}
	}
	cyclonedx, err := d.CycloneDX()
	if err != nil {
		t.Fatal(err)
	}
	if spdx, err = d.SPDX(); err != nil {
		t.Fatal(err)
	}
	read, err := spdxjson.Read(bytes.NewReader(spdx))
	if err != nil {
		t.Fatalf("reading SPDX: %v", err)
	}
	if err := spdxlib.ValidateDocument(read); err != nil {
		t.Errorf("SPDX: %v", err)
	}
	if got, want := len(read.Packages), len(d.Components)+1; got != want {
		t.Errorf("SPDX has %d packages, want %d", got, want)
	}
	if described, err := spdxlib.GetDescribedPackageIDs(read); err != nil || len(described) != 1 || described[0] != "Image" {
		t.Errorf("SPDX describes %v: %v", described, err)
	}
	return cyclonedx, spdx
}

// validateStrictly validates the CycloneDX of documents with the official library, and their
// SPDX with the official schema, of which syft has a copy.
func validateStrictly(t *testing.T, documents ...*Document) {
	t.Helper()
	syft, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/anchore/syft").Output()
	if err != nil {
		t.Fatal(err)
	}
	schema := filepath.Join(strings.TrimSpace(string(syft)), "schema/spdx-json/spdx-schema-2.3.json")
	var cyclonedx, spdx []string
	for _, document := range documents {
		cdxText, spdxText := encode(t, document)
		cyclonedx = append(cyclonedx, writeFile(t, cdxText))
		spdx = append(spdx, writeFile(t, spdxText))
	}
	testkit.Validate(t, "cyclonedx", cyclonedx...)
	testkit.Validate(t, schema, spdx...)
}

func writeFile(t *testing.T, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sbom.json")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

package compare

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/vex"
)

var update = flag.Bool("update", os.Getenv("UPDATE_GOLDEN") != "", "write the golden files")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", file, diff)
	}
}

func inBytes(n int64) string { return fmt.Sprintf("%d B", n) }

func nixPackage(hash byte, name, version, license string) sbom.Component {
	path := "/nix/store/" + hashOf(hash) + "-" + name + "-" + version
	return sbom.Component{ID: path, Name: name, Version: version, Type: "nix", StorePath: path, PURL: "pkg:nix/" + name + "@" + version, License: sbom.License{Expression: license}}
}

// hashOf returns a store path's hash that consists of one letter.
func hashOf(letter byte) string { return strings.Repeat(string(rune(letter)), 32) }

func finding(id string, severity scan.Severity, name, version string) scan.Finding {
	return scan.Finding{Vulnerability: scan.Vulnerability{ID: id, Severity: severity}, Component: scan.Found{Name: name, Version: version, Type: "nix"}}
}

// docs returns a release of an app with two components, and the next release.
func docs() (from, to *Release) {
	from = &Release{
		Name: "registry.example/coop/docs-default:5.4.0-2", App: "docs", Variant: "default", Version: "5.4.0", PackageVersion: 2,
		Outline: json.RawMessage(`{"license":"MIT","needs":{"postgres":{"version":">=15"},"redis":{}},"routes":[{"path":"/","port":"http"},{"path":"/media","port":"http"}]}`),
		Images: map[string]*Image{
			"backend": {
				Platforms: []string{"linux/amd64", "linux/arm64"}, Platform: "linux/amd64", Digest: "sha256:aa",
				Config: &v1.Config{
					Entrypoint: []string{"/nix/store/" + hashOf('a') + "-docs-5.4.0/bin/serve"}, Cmd: []string{"web"}, User: "1000",
					Env:          []string{"DB_HOST=db", "PATH=/nix/store/" + hashOf('a') + "-bin/bin"},
					ExposedPorts: map[string]struct{}{"8000/tcp": {}}, Volumes: map[string]struct{}{"/data": {}},
				},
				Layers: []Layer{{"sha256:base", 1000, ""}, {"sha256:old", 500, "libre: docs-5.4.0"}},
				SBOM: &sbom.Document{Components: []sbom.Component{
					nixPackage('a', "openssl", "3.4.0", "Apache-2.0"), nixPackage('b', "zlib", "1.3", "Zlib"), nixPackage('c', "gone", "1", "MIT"), nixPackage('d', "same", "1", "MIT"),
					{ID: "x", Name: "django", Version: "5.1", Type: "python", PURL: "pkg:pypi/django@5.1", License: sbom.License{Expression: "BSD-3-Clause"}},
				}},
				Findings: []scan.Finding{finding("CVE-2026-1", "high", "openssl", "3.4.0"), finding("CVE-2026-2", "low", "zlib", "1.3"), finding("CVE-2026-3", "critical", "zlib", "1.3")},
			},
			"frontend": {Platforms: []string{"linux/amd64"}, Platform: "linux/amd64", Digest: "sha256:ff"},
		},
	}
	settled := finding("CVE-2026-3", "critical", "zlib", "1.3")
	settled.Answer = &scan.Answer{Status: vex.NotAffected, Says: "not_affected (component_not_present)"}
	to = &Release{
		Name: "registry.example/coop/docs-default:5.4.1-1", App: "docs", Variant: "default", Version: "5.4.1", PackageVersion: 1,
		Migration: &describe.Migration{Kind: "automatic", MinFrom: "5.0.0", Notes: "https://example.org/upgrade"},
		Outline:   json.RawMessage(`{"license":"AGPL-3.0-only","needs":{"postgres":{"version":">=16"},"bucket":{"versioning":true}},"routes":[{"path":"/","port":"http"},{"path":"/media","port":"http","auth":"/auth"}]}`),
		Images: map[string]*Image{
			"backend": {
				Platforms: []string{"linux/amd64"}, Platform: "linux/amd64", Digest: "sha256:bb",
				Config: &v1.Config{
					Entrypoint: []string{"/nix/store/" + hashOf('z') + "-docs-5.4.1/bin/serve"}, Cmd: []string{"web", "--fast"}, User: "1001",
					Env:          []string{"CACHE=", "PATH=/nix/store/" + hashOf('z') + "-bin/bin"},
					ExposedPorts: map[string]struct{}{"8000/tcp": {}, "8001/udp": {}},
				},
				Layers: []Layer{{"sha256:base", 1000, ""}, {"sha256:new", 700, "libre: docs-5.4.1"}},
				SBOM: &sbom.Document{Components: []sbom.Component{
					nixPackage('e', "openssl", "3.4.1", "Apache-2.0"), nixPackage('f', "zlib", "1.3", "Zlib"), nixPackage('d', "same", "1", "MIT"),
					{ID: "x", Name: "django", Version: "5.1", Type: "python", PURL: "pkg:pypi/django@5.1", License: sbom.License{Expression: "GPL-3.0-only"}},
					{ID: "y", Name: "core", Version: "1.0", Type: "npm", PURL: "pkg:npm/%40babel/core@1.0"},
				}},
				Findings: []scan.Finding{finding("CVE-2026-2", "low", "zlib", "1.3"), settled, finding("CVE-2026-4", "medium", "django", "5.1")},
			},
			"y-provider": {Platforms: []string{"linux/amd64"}, Platform: "linux/amd64", Digest: "sha256:cc", SBOM: &sbom.Document{Components: []sbom.Component{nixPackage('g', "node", "22", "MIT")}}},
		},
	}
	return from, to
}

// Package describetest has the application documents of libre's own apps and of the template's
// app, for tests without Nix. TestDocumentsAreThoseOfTheApps of internal/nix compares them with
// the apps.
package describetest

import (
	"embed"
	"maps"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/libresh/libre/internal/describe"
)

const (
	Registry = "registry.example/coop" // where the images are, with their namespace
	user     = "1001:127"              // of images whose definitions name none
)

//go:embed testdata
var documents embed.FS

// Names returns the names of the apps that have documents.
func Names(t testing.TB) []string {
	t.Helper()
	entries, err := documents.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = strings.TrimSuffix(entry.Name(), ".yaml")
	}
	return names
}

// App returns the document of an app's default variant, as if its images were built. The
// digests of its components, in the order of their names, consist of ones, of twos, and so on.
func App(t testing.TB, name string) *describe.Application {
	t.Helper()
	content, err := documents.ReadFile("testdata/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	a := Parse(t, content)
	a.Spec.Registry = Registry
	for i, component := range slices.Sorted(maps.Keys(a.Spec.Components)) {
		a.AddImage(component, describe.Built{Digest: "sha256:" + strings.Repeat(string(rune('1'+i)), 64), User: user})
	}
	return a
}

// Parse reads a document strictly.
func Parse(t testing.TB, content []byte) *describe.Application {
	t.Helper()
	var a describe.Application
	if err := yaml.UnmarshalStrict(content, &a); err != nil {
		t.Fatal(err)
	}
	return &a
}

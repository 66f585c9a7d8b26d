package find

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/sbom"
)

func component(name, version, purl string, dependsOn ...string) sbom.Component {
	return sbom.Component{ID: name, Name: name, Version: version, PURL: purl, Type: "go-module", DependsOn: dependsOn}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func hash(n int) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", n)}
}

func image(n int) Image { return Image{"registry.example/coop/docs", hash(n), "policy"} }

func document(n int, components ...sbom.Component) *sbom.Document {
	return &sbom.Document{
		Subject:    sbom.Subject{Name: "docs-backend-default", Version: "1.0-1", Index: hash(n + 1000), Manifest: hash(n), Created: time.Unix(1, 0).UTC()},
		DependsOn:  []string{components[0].ID},
		Components: components,
	}
}

func sample() *sbom.Document {
	openssl := component("openssl", "3.0.13", "pkg:nix/openssl@3.0.13")
	openssl.License.Expression = "Apache-2.0"
	openssl.Patches = []sbom.Patch{{Name: "CVE-2026-1234.patch", Resolves: []string{"CVE-2026-1234", "GHSA-abcd-efgh-ijkl"}}}
	yaml := component("PyYAML", "6.0", "pkg:pypi/pyyaml@6.0")
	yaml.License.Expression = "MIT AND (AGPL-3.0-only OR GPL-2.0-only WITH Classpath-exception-2.0)"
	hostile := component("evil\n\tname \x1b[2J", "1", "not a purl")
	return document(1,
		component("python3", "3.12.1", "pkg:nix/python3@3.12.1", "openssl", "PyYAML", "golang.org/x/net"),
		openssl, yaml,
		component("golang.org/x/net", "v0.39.0", "pkg:golang/golang.org/x/net@v0.39.0", hostile.ID),
		component("github.com/cloudflare/openssl-go", "v1.0.0", "pkg:golang/github.com/cloudflare/openssl-go@v1.0.0"),
		component("@babel/core", "7.0.0", "pkg:npm/%40babel/core@7.0.0"),
		component("pyopenssl", "1.0", "pkg:pypi/pyopenssl@1.0"),
		hostile,
	)
}

func TestQueriesSelectComponents(t *testing.T) {
	index := &Index{filepath.Join(t.TempDir(), "index")}
	must(t, index.Put(image(1), sample()))
	for _, test := range []struct {
		query string
		want  []string
	}{
		{"openssl", []string{"openssl", "github.com/cloudflare/openssl-go"}},
		{"OpenSSL", []string{"openssl", "github.com/cloudflare/openssl-go"}},
		{"*openssl*", []string{"openssl", "github.com/cloudflare/openssl-go", "pyopenssl"}},
		{"openss?", []string{"openssl"}},
		{"pyyaml", []string{"PyYAML"}},
		{"golang.org/x/net", []string{"golang.org/x/net"}},
		{"x/net", []string{"golang.org/x/net"}},
		{"ssl", nil},
		{"pkg:golang/golang.org/x/net", []string{"golang.org/x/net"}},
		{"pkg:golang/golang.org/x/net@<0.40", []string{"golang.org/x/net"}},
		{"pkg:golang/golang.org/x/net@>=0.38,<0.39.1", []string{"golang.org/x/net"}},
		{"pkg:golang/golang.org/x/net@v0.39.0", []string{"golang.org/x/net"}},
		{"pkg:golang/golang.org/x/net@<0.39", nil},
		{"pkg:npm/%40babel/core@%3C8", []string{"@babel/core"}},
		{"pkg:npm/@babel/core@<8", []string{"@babel/core"}},
		{"pkg:nix/openssl?arch=amd64", []string{"openssl"}},
		{"pkg:pypi/PyYAML", []string{"PyYAML"}},
		{"CVE-2026-1234", []string{"openssl"}},
		{"cve-2026-1234", []string{"openssl"}},
		{"GHSA-abcd-efgh-ijkl", []string{"openssl"}},
		{"CVE-2026-12345", nil},
		{"evil", []string{"evil\n\tname \x1b[2J"}},
	} {
		query, err := ParseQuery(test.query)
		if err != nil {
			t.Errorf("%s: %v", test.query, err)
			continue
		}
		if got := names(t, index, query); !slices.Equal(got, test.want) {
			t.Errorf("%s selects %q, want %q", test.query, got, test.want)
		}
	}
	for id, want := range map[string][]string{
		"AGPL-3.0-only": {"PyYAML"}, "agpl-3.0-only": {"PyYAML"}, "AGPL-3.0": nil,
		"Apache-2.0": {"openssl"}, "GPL-2.0-only": {"PyYAML"}, "GPL-2.0-only WITH Classpath-exception-2.0": {"PyYAML"},
	} {
		query, err := LicenseQuery(id)
		must(t, err)
		if got := names(t, index, query); !slices.Equal(got, want) {
			t.Errorf("license %s selects %q, want %q", id, got, want)
		}
	}
}

func names(t *testing.T, index *Index, query Query) (all []string) {
	t.Helper()
	matches, err := index.Search(query, []Image{image(1)})
	must(t, err)
	for _, match := range matches[0] {
		all = append(all, match.Component.Name)
	}
	return all
}

func TestMatchHasItsWayAndItsPatches(t *testing.T) {
	index := &Index{filepath.Join(t.TempDir(), "index")}
	must(t, index.Put(image(1), sample()))
	query, err := ParseQuery("CVE-2026-1234")
	must(t, err)
	matches, err := index.Search(query, []Image{image(2), image(1)})
	must(t, err)
	if len(matches) != 2 || len(matches[0]) != 0 || len(matches[1]) != 1 {
		t.Fatalf("got %v", matches)
	}
	match := matches[1][0]
	if !slices.Equal(match.Way, []string{"python3", "openssl"}) || !slices.Equal(match.PatchedBy, []string{"CVE-2026-1234.patch"}) {
		t.Errorf("got the way %q, patched by %q", match.Way, match.PatchedBy)
	}
}

func TestQueriesThatCannotBeRead(t *testing.T) {
	for _, text := range []string{"", "pkg:", "pkg:golang", "pkg:golang/x@<", "pkg:golang/x@~>1", "pkg:golang/x@%zz"} {
		if query, err := ParseQuery(text); err == nil {
			t.Errorf("%q is read as %+v", text, query)
		}
	}
	for _, id := range []string{"", "MIT OR", "MIT OR Zlib", "AGPL-3", "AND", "\x1b[0m"} {
		if _, err := LicenseQuery(id); err == nil {
			t.Errorf("the license %q is accepted", id)
		}
	}
}

func TestIndexReturnsWhatWasPut(t *testing.T) {
	index := &Index{filepath.Join(t.TempDir(), "index")}
	want := sample()
	if index.Has(image(1)) {
		t.Error("an empty index has it")
	}
	must(t, index.Put(image(1), want))
	got, err := index.Get(image(1))
	must(t, err)
	if fmt.Sprint(*got) != fmt.Sprint(*want) || !index.Has(image(1)) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// libre gc removes what was not used for long.
func TestUseOfTheIndexIsRecorded(t *testing.T) {
	index := &Index{filepath.Join(t.TempDir(), "index")}
	must(t, index.Put(image(1), sample()))
	long := time.Now().Add(-30 * 24 * time.Hour)
	must(t, os.Chtimes(index.file(image(1)), long, long))
	if !index.Has(image(1)) {
		t.Error("the index lacks what was put")
	}
	info, err := os.Stat(index.file(image(1)))
	must(t, err)
	if time.Since(info.ModTime()) > time.Hour {
		t.Errorf("used at %v", info.ModTime())
	}
}

// Whoever may sign in one repository must not hide a component of the same image in another.
func TestIndexKeepsRepositoriesApart(t *testing.T) {
	index := &Index{filepath.Join(t.TempDir(), "index")}
	other := Image{"evil.example/docs", hash(1), "policy"}
	must(t, index.Put(other, document(1, component("harmless", "1", ""))))
	if index.Has(image(1)) {
		t.Error("the SBOM of another repository counts")
	}
	anotherKey := Image{image(1).Repository, hash(1), "another"}
	must(t, index.Put(anotherKey, document(1, component("harmless", "1", ""))))
	if index.Has(image(1)) {
		t.Error("an SBOM counts that another policy accepted")
	}
	must(t, index.Put(image(1), sample()))
	query, err := ParseQuery("openssl")
	must(t, err)
	matches, err := index.Search(query, []Image{other, image(1)})
	must(t, err)
	if len(matches[0]) != 0 || len(matches[1]) != 2 {
		t.Errorf("got %v", matches)
	}
	if err := index.Put(image(2), sample()); err == nil {
		t.Error("the SBOM of another image is put")
	}
}

func TestRefreshReadsWhatIsMissing(t *testing.T) {
	index := &Index{filepath.Join(t.TempDir(), "index")}
	must(t, index.Put(image(1), sample()))
	images := []Image{image(1), image(2), image(3)}
	var mu sync.Mutex
	read := func(_ context.Context, n int) (*sbom.Document, error) {
		mu.Lock()
		defer mu.Unlock()
		switch n {
		case 1:
			return document(2, component("a", "1", "")), nil
		case 2:
			return nil, errors.New("not signed")
		}
		t.Errorf("image %d is read", n)
		return nil, nil
	}
	failed := index.Refresh(t.Context(), images, read)
	if len(failed) != 1 || failed[image(3)] == nil || !index.Has(image(2)) || index.Has(image(3)) {
		t.Errorf("failed: %v", failed)
	}
}

// A file of the index that is damaged, or of another format, counts as missing: it is read anew,
// and not taken for an image that has nothing.
func TestBrokenIndexFiles(t *testing.T) {
	query, err := ParseQuery("openssl")
	must(t, err)
	for name, change := range map[string]func(string) string{
		"of a former format":  func(text string) string { return strings.Replace(text, "index 3", "index 2", 1) },
		"empty":               func(string) string { return "" },
		"with its first line": func(text string) string { return text[:strings.Index(text, "\n")+1] },
		"cut after a line":    func(text string) string { return text[:strings.LastIndex(strings.TrimSpace(text), "\n")+1] },
		"cut in a line":       func(text string) string { return text[:len(text)/2] },
		"of another image":    func(text string) string { return strings.ReplaceAll(text, hash(1).Hex, hash(3).Hex) },
		"with a changed name": func(text string) string { return strings.ReplaceAll(text, "openssl", "opensss") },
		"with zeros":          func(text string) string { return text[:500] + strings.Repeat("\x00", 500) + text[1000:] },
	} {
		index := &Index{filepath.Join(t.TempDir(), "index")}
		must(t, index.Put(image(1), sample()))
		file := index.file(image(1))
		text, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(file, []byte(change(string(text))), 0o600))
		matches, err := index.Search(query, []Image{image(1)})
		if err != nil || len(matches[0]) > 0 || index.Has(image(1)) {
			t.Errorf("%s: %v, %v", name, matches, err)
		}
		failed := index.Refresh(t.Context(), []Image{image(1)}, func(context.Context, int) (*sbom.Document, error) { return sample(), nil })
		matches, err = index.Search(query, []Image{image(1)})
		if err != nil || len(failed) > 0 || len(matches[0]) != 2 {
			t.Errorf("%s, read anew: %v, %v, %v", name, matches, failed, err)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, text := range []string{"openssl", "pkg:golang/golang.org/x/net@<0.40", "CVE-2026-1234", "*ssl?", "pkg:npm/%40a/b@>=1,<2"} {
		f.Add(text)
	}
	all := sample()
	f.Fuzz(func(t *testing.T, text string) {
		query, err := ParseQuery(text)
		if err != nil {
			return
		}
		for _, c := range all.Components {
			if query.Selects(&c) && !strings.Contains(key(&c), query.literal) {
				t.Errorf("%q selects %q, whose key lacks %q", text, c.Name, query.literal)
			}
		}
	})
}

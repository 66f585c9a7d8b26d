package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/nix"
)

// smallClosure returns the closure of a server that needs a library and certificates.
func smallClosure() (closure []nix.PathInfo, root string) {
	libc, certs := storePath("a", "glibc-2.40-66"), storePath("c", "cacert")
	server := storePath("b", "my+server-1.2.3")
	return []nix.PathInfo{
		pathInfo("d", "docs-server-root", server, certs),
		pathInfo("a", "glibc-2.40-66"),
		pathInfo("b", "my+server-1.2.3", libc),
		pathInfo("c", "cacert"),
	}, storePath("d", "docs-server-root")
}

// smallFindings returns possible findings in smallClosure: one module in two store paths.
func smallFindings() Findings {
	server, libc, root := storePath("b", "my+server-1.2.3"), storePath("a", "glibc-2.40-66"), storePath("d", "docs-server-root")
	mod := Component{ID: "pkg:golang/example.org/mod@v1.0.0", Name: "example.org/mod", Version: "v1.0.0", Type: "go-module",
		PURL: "pkg:golang/example.org/mod@v1.0.0", Where: []string{server + "/bin/server"}}
	modElsewhere := mod
	modElsewhere.Where = []string{libc + "/bin/tool"}
	return Findings{
		libc: findings(modElsewhere),
		server: findings(mod, Component{ID: "pkg:golang/example.org/main", Name: "example.org/main", Type: "go-module",
			PURL: "pkg:golang/example.org/main", Where: []string{server + "/bin/server"}, DependsOn: []string{mod.ID}}),
		root: findings(Component{ID: "binary:tool@", Name: "tool", Type: "npm", Where: []string{"/opt/<tool> & co"},
			File: File{Name: "<tool> & co", SHA512: strings.Repeat("0f", 64), Executable: true}, License: License{"LicenseRef-binary-odd AND MIT", true},
			CPEs: []string{"cpe:2.3:a:x:tool:1:*:*:*:*:*:*:*", "cpe:2.3:a:y:tool:1:*:*:*:*:*:*:*"}}),
		storePath("c", "cacert"): findings(),
	}
}

// smallMetadata returns possible metadata of smallClosure: the program is patched.
func smallMetadata() Metadata {
	return Metadata{
		Application: Application{
			Facts: Facts{
				Name: "docs", Version: "1.2.3", PURL: "pkg:golang/example.org/main@v1.2.3", Creator: "https://example.org", License: "MIT",
				CPEs: []string{"cpe:2.3:a:example:docs:1.2.3:*:*:*:*:*:*:*"}, Source: Source{"https://example.org/main", "sha256-AAAA"},
				Patches: []Patch{
					{Name: "own.patch", Hash: "sha256:" + strings.Repeat("1", 64)},
					{Name: "fix.patch", Hash: "sha256:" + strings.Repeat("2", 64), URL: "https://example.org/fix.patch", Resolves: []string{"CVE-2026-1", "GO-2026-2"}},
				},
			},
			Program: storePath("b", "my+server-1.2.3"), Module: "example.org/main", Release: "v1.2.3",
		},
		Paths: map[string]Facts{
			storePath("a", "glibc-2.40-66"): {
				Name: "glibc", Version: "2.40", License: "LGPL-2.1-or-later", Creator: "https://www.gnu.org/software/libc/",
				CPEs: []string{"cpe:2.3:a:gnu:glibc:2.40:*:*:*:*:*:*:*"}, Source: Source{"mirror://gnu/glibc/glibc-2.40.tar.xz", "sha256-BBBB"},
				Patches: []Patch{{Name: "CVE-2026-3.patch", Resolves: []string{"CVE-2026-3"}}},
			},
			storePath("d", "docs-server-root"): {Version: "1.2.3-4", License: "MIT", Creator: "https://example.org"},
		},
		Modules: map[string]map[string]string{storePath("b", "my+server-1.2.3"): {"example.org/mod": "MIT OR Apache-2.0", "example.org/main": "ISC"}},
	}
}

func findings(all ...Component) *Document {
	components := map[string]*Component{}
	for _, c := range all {
		components[c.ID] = &c
	}
	document := NewDocument(components, Tool{"syft", "v1.54.1"})
	document.File = File{Name: "HASH-NAME", SHA512: strings.Repeat("5a", 64), Archive: true}
	return document
}

// small returns a document from these three.
func small(t *testing.T) *Document {
	t.Helper()
	closure, root := smallClosure()
	store, err := FromClosure(subject("docs-server-default"), closure, root)
	if err != nil {
		t.Fatal(err)
	}
	store.Tools = []Tool{{"syft", "v1.54.1"}, {"libre", "0.1.0"}}
	return Merge(store, smallFindings(), nil).Describe(smallMetadata())
}

// TestGolden checks that the bytes of a document do not change for the same image, because
// published documents are signed. The golden files are indented, so that people can read
// changes.
func TestGolden(t *testing.T) {
	d := small(t)
	d.Creator = "https://libre.sh"
	cyclonedx, spdx := encode(t, d)
	for name, document := range map[string][]byte{"small.cdx.json": cyclonedx, "small.spdx.json": spdx} {
		if bytes.Count(document, []byte("\n")) != 1 {
			t.Errorf("%s is not on one line", name)
		}
		file, got := filepath.Join("testdata", name), indented(t, document)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func indented(t *testing.T, document []byte) []byte {
	t.Helper()
	var text bytes.Buffer
	if err := json.Indent(&text, document, "", "  "); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func TestOrderDoesNotMatter(t *testing.T) {
	closure, root := smallClosure()
	document := func() *Document {
		d, err := FromClosure(subject("docs-server-default"), closure, root)
		if err != nil {
			t.Fatal(err)
		}
		return Merge(d, smallFindings(), nil)
	}
	wantCDX, wantSPDX := encode(t, document())
	slices.Reverse(closure)
	for _, info := range closure {
		slices.Reverse(info.References)
	}
	cyclonedx, spdx := encode(t, document())
	if !bytes.Equal(cyclonedx, wantCDX) || !bytes.Equal(spdx, wantSPDX) {
		t.Error("another order gives another document")
	}
}

func TestSerial(t *testing.T) {
	closure, root := smallClosure()
	document := func(change func(*Document)) string {
		d, err := FromClosure(subject("docs"), closure, root)
		if err != nil {
			t.Fatal(err)
		}
		change(d)
		id, err := d.id()
		if err != nil {
			t.Fatal(err)
		}
		return id.String()
	}
	same := document(func(*Document) {})
	if again := document(func(*Document) {}); again != same {
		t.Errorf("got %s, then %s", same, again)
	}
	for what, change := range map[string]func(*Document){
		"image":     func(d *Document) { d.Subject.Manifest.Hex = strings.Repeat("0", 64) },
		"component": func(d *Document) { d.Components[0].Version = "2" },
		"tool":      func(d *Document) { d.Tools = []Tool{{"libre", "2"}} },
	} {
		if document(change) == same {
			t.Errorf("another %s, the same serial number", what)
		}
	}
}

func TestIncompleteDocument(t *testing.T) {
	closure, root := smallClosure()
	for want, change := range map[string]func(*Document){
		"writing the SBOM of an image: it has no name":        func(d *Document) { d.Subject.Name = "" },
		"writing the SBOM of docs: it has no index digest":    func(d *Document) { d.Subject.Index.Hex = "" },
		"writing the SBOM of docs: it has no time":            func(d *Document) { d.Subject.Created = d.Subject.Created.AddDate(-2025, -6, -8) },
		"writing the SBOM of docs: it has no tool":            func(d *Document) { d.Tools = nil },
		"writing the SBOM of docs: it has no manifest digest": func(d *Document) { d.Subject.Manifest.Hex = "" },
	} {
		d, err := FromClosure(subject("docs"), closure, root)
		if err != nil {
			t.Fatal(err)
		}
		d.Tools = []Tool{{"libre", "1"}}
		change(d)
		if _, err := d.CycloneDX(); err == nil || err.Error() != want {
			t.Errorf("CycloneDX: got %v, want %s", err, want)
		}
		if _, err := d.SPDX(); err == nil || err.Error() != want {
			t.Errorf("SPDX: got %v, want %s", err, want)
		}
	}
}

func TestRows(t *testing.T) {
	d := &Document{Components: []Component{
		{ID: "1", Name: "b", Version: "2", Type: "deb", PURL: "pkg:deb/b@2", Where: []string{"/x", "/y"}},
		{ID: "2", Name: "a", Type: "binary", License: License{Expression: "MIT"}},
	}}
	want := [][]string{{"a", "", "binary", "", "", "MIT"}, {"b", "2", "deb", "pkg:deb/b@2", "/x,/y", ""}}
	if diff := cmp.Diff(want, d.Rows()); diff != "" {
		t.Error(diff)
	}
}

// TestStrict validates documents with unusual names from outside, and an empty document.
func TestStrict(t *testing.T) {
	closure, root := smallClosure()
	store, err := FromClosure(subject("docs-server-default"), closure, root)
	if err != nil {
		t.Fatal(err)
	}
	small := small(t)
	small.Creator = "hosting@example.org"
	odd := &Document{Subject: subject("Odd"), Components: []Component{
		{ID: "x:\x1b[31m\xff@", Name: "\x1b[31m\xff", Type: "x", Where: []string{"/a\nb", "/ü"}},
	}, DependsOn: []string{"x:\x1b[31m\xff@"}}
	validateStrictly(t, store, small, odd, &Document{Subject: subject("nothing")})
}

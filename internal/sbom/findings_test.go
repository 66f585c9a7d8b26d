package sbom

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Findings from a former document are those that were found.
func TestFindings(t *testing.T) {
	former := small(t)
	closure, root := smallClosure()
	same := func() *Document {
		d, err := FromClosure(subject("docs-server-default"), closure, root)
		if err != nil {
			t.Fatal(err)
		}
		d.Tools = former.Tools
		return d
	}
	want := smallFindings()
	for _, document := range want {
		document.Tools = nil
	}
	if diff := cmp.Diff(want, former.Findings(same())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(former, Merge(same(), former.Findings(same()), nil).Describe(smallMetadata())); diff != "" {
		t.Errorf("merged again (-want +got):\n%s", diff)
	}

	server, libc := storePath("b", "my+server-1.2.3"), storePath("a", "glibc-2.40-66")
	changed := same()
	for i, c := range changed.Components {
		switch c.ID {
		case server:
			changed.Components[i].NarHash = closure[0].NarHash
		case libc:
			changed.Components[i].Where = []string{"/", libc}
		}
	}
	older := small(t)
	for i := range older.Components {
		older.Components[i].File = File{}
	}
	if got := older.Findings(same()); len(got) > 0 {
		t.Errorf("without hashes of files: %s", asJSON(t, got))
	}
	if got := former.Findings(changed); got[server] != nil || got[libc] != nil || got[root] == nil {
		t.Errorf("of other contents and places: %s", asJSON(t, got))
	}
	for what, change := range map[string]func(*Document){
		"tools":     func(d *Document) { d.Tools = []Tool{{"syft", "v1.54.2"}, {"libre", "0.1.0"}} },
		"the whole": func(d *Document) { d.Components = append(d.Components, Component{ID: "pkg:deb/debian/a"}) },
		"a stranger": func(d *Document) {
			d.Components = append(d.Components, Component{ID: storePath("e", "x") + separator + "pkg:deb/debian/a"})
		},
	} {
		d := small(t)
		change(d)
		if got := d.Findings(same()); got != nil {
			t.Errorf("another %s: %s", what, asJSON(t, got))
		}
	}
}

// A document that is read and written again is the same, byte for byte.
func TestRead(t *testing.T) {
	closure, root := smallClosure()
	store, err := FromClosure(subject("docs"), append(closure, pathInfo("e", "self", storePath("e", "self"))), root)
	if err != nil {
		t.Fatal(err)
	}
	odd := &Document{Subject: subject("Odd"), Components: []Component{
		{ID: "x:\x1b[31m@", Name: "\x1b[31m", Type: "x", Where: []string{"/a\nb", "/ü"}},
	}, DependsOn: []string{"x:\x1b[31m@"}}
	odd.Subject.Platform.Variant = "v8"
	for _, d := range []*Document{small(t), store, odd, {Subject: subject("nothing"), Creator: "a@example.org"}} {
		cyclonedx, spdx := encode(t, d)
		read, err := Read(cyclonedx)
		if err != nil {
			t.Errorf("%s: %v", d.Subject.Name, err)
			continue
		}
		again, err := read.CycloneDX()
		if err != nil || !bytes.Equal(again, cyclonedx) {
			t.Errorf("%s: %v\n%s", d.Subject.Name, err, cmp.Diff(string(cyclonedx), string(again)))
		}
		if again, err := read.SPDX(); err != nil || !bytes.Equal(again, spdx) {
			t.Errorf("%s: %v\n%s", d.Subject.Name, err, cmp.Diff(string(spdx), string(again)))
		}
	}
}

func TestReadErrors(t *testing.T) {
	golden := goldenCycloneDX(t)
	for _, test := range []struct{ what, text, want string }{
		{"no JSON", "x", "reading an SBOM: invalid character 'x' looking for beginning of value"},
		{"no metadata", `{"bomFormat": "CycloneDX"}`, "reading an SBOM: it names no image"},
		{"nothing", "null", "reading an SBOM: it names no image"},
		{"another version", string(bytes.Replace(golden, []byte(`"version": "2.40"`), []byte(`"version": "2.41"`), 1)),
			"reading an SBOM: its serial number is "},
		{"an edge less", string(bytes.Replace(golden, []byte(`"dependsOn"`), []byte(`"needs"`), 1)),
			"reading an SBOM: its serial number is "},
		{"no time", string(bytes.Replace(golden, []byte(`"timestamp"`), []byte(`"time"`), 1)), "reading an SBOM: it has no valid timestamp"},
		{"no index", string(bytes.Replace(golden, []byte(`libre:index-digest`), []byte(`x`), 1)), "reading an SBOM: it does not say which index it is about: libre did not write it"},
	} {
		if d, err := Read([]byte(test.text)); err == nil || !bytes.HasPrefix([]byte(err.Error()), []byte(test.want)) {
			t.Errorf("%s: got %v, %v, want %s", test.what, d, err, test.want)
		}
	}
}

func goldenCycloneDX(t testing.TB) []byte {
	t.Helper()
	golden, err := os.ReadFile(filepath.Join("testdata", "small.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	return golden
}

// A document that libre did not write is an error. One that libre wrote is written again as it
// was.
func FuzzRead(f *testing.F) {
	f.Add(goldenCycloneDX(f))
	f.Add([]byte(`{"metadata":{"component":{"properties":[{}]}},"components":[{"evidence":{}}],"dependencies":[{}],"compositions":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		document, serial, err := read(text)
		if err != nil {
			return
		}
		Merge(document, document.Findings(document), document)
		again, err := document.CycloneDX()
		if err != nil {
			return // it has no IDs
		}
		if id, _ := document.id(); id.URN() != serial {
			return
		}
		if _, err := Read(again); err != nil {
			t.Errorf("%v\n%s", err, again)
		}
	})
}

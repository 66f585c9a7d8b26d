package sbom

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMerge(t *testing.T) {
	closure, root := smallClosure()
	store, err := FromClosure(subject("docs"), closure, root)
	if err != nil {
		t.Fatal(err)
	}
	files := smallFiles()
	before := asJSON(t, store) + asJSON(t, files)
	d := Merge(store, files)
	if diff := cmp.Diff(before, asJSON(t, store)+asJSON(t, files)); diff != "" {
		t.Errorf("merging changed what was merged:\n%s", diff)
	}
	server, libc, certs := storePath("b", "my+server-1.2.3"), storePath("a", "glibc-2.40-66"), storePath("c", "cacert")
	want := map[string][]string{
		libc:   nil,
		certs:  nil,
		server: {libc, "pkg:golang/example.org/main"}, // the modules follow from the program
		// What is outside the store comes from the root directory.
		root:                                {server, certs, "binary:tool@", "pkg:nix/elsewhere@1"},
		"binary:tool@":                      nil,
		"pkg:golang/example.org/main":       {"pkg:golang/example.org/mod@v1.0.0"},
		"pkg:golang/example.org/mod@v1.0.0": nil,
		"pkg:nix/elsewhere@1":               nil, // no store path that is known
	}
	got := map[string][]string{}
	for _, c := range d.Components {
		got[c.ID] = c.DependsOn
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{root}, d.DependsOn); diff != "" {
		t.Error(diff)
	}
	if again := Merge(d, files); asJSON(t, again) != asJSON(t, d) {
		t.Errorf("merging twice: %s", cmp.Diff(d, again))
	}
}

// TestMergeTools: a Containerfile image with a debug layer of store paths.
func TestMergeTools(t *testing.T) {
	tools := pathInfo("f", "debug-tools-1")
	store, err := FromClosure(subject("docs"), append(must(smallClosure()), tools), "", tools.Path)
	if err != nil {
		t.Fatal(err)
	}
	d := Merge(store, &Document{Components: []Component{
		{ID: "pkg:deb/a", Where: []string{"/var/lib/dpkg/status"}, DependsOn: []string{"pkg:deb/b"}},
		{ID: "pkg:deb/b", Where: []string{"/var/lib/dpkg/status"}},
		{ID: "pkg:generic/busybox", Where: []string{tools.Path + "/bin/busybox", "/usr/bin/busybox"}},
	}})
	if diff := cmp.Diff([]string{tools.Path, "pkg:deb/a"}, d.DependsOn); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
	for _, c := range d.Components {
		if c.ID == tools.Path && !cmp.Equal(c.DependsOn, []string{"pkg:generic/busybox"}) {
			t.Errorf("tools depend on %v", c.DependsOn)
		}
	}
}

func TestEntries(t *testing.T) {
	graph := map[string][]string{
		"a": {"b", "outside"}, "b": {"c"}, "c": {"b"}, // a circle with an entry
		"x": {"y"}, "y": {"x", "z"}, "z": nil, // one without
		"self": {"self"},
	}
	edges := func(id string) []string { return graph[id] }
	for _, test := range []struct{ ids, want []string }{
		{nil, nil},
		{[]string{"a", "b", "c"}, []string{"a"}},
		{[]string{"b", "c"}, []string{"b"}},
		{[]string{"z", "y", "x"}, []string{"x"}},
		{[]string{"self", "z", "a"}, []string{"a", "self", "z"}},
		{[]string{"c", "z", "b", "a", "y", "x"}, []string{"a", "x"}},
	} {
		if got := entries(test.ids, edges); !cmp.Equal(got, test.want) {
			t.Errorf("%v: got %v, want %v", test.ids, got, test.want)
		}
	}
}

func must[A, B any](a A, _ B) A { return a }

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

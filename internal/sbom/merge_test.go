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
	files := smallFindings()
	before := asJSON(t, store) + asJSON(t, files)
	d := Merge(store, files, nil)
	if diff := cmp.Diff(before, asJSON(t, store)+asJSON(t, files)); diff != "" {
		t.Errorf("merging changed what was merged:\n%s", diff)
	}
	server, libc, certs := storePath("b", "my+server-1.2.3"), storePath("a", "glibc-2.40-66"), storePath("c", "cacert")
	want := map[string][]string{
		libc:   {libc + "#pkg:golang/example.org/mod@v1.0.0"},
		certs:  nil,
		server: {libc, server + "#pkg:golang/example.org/main"}, // the modules follow from the program
		root:   {server, certs, root + "#binary:tool@"},
		libc + "#pkg:golang/example.org/mod@v1.0.0":   nil,
		server + "#pkg:golang/example.org/main":       {server + "#pkg:golang/example.org/mod@v1.0.0"},
		server + "#pkg:golang/example.org/mod@v1.0.0": nil,
		root + "#binary:tool@":                        nil,
	}
	if diff := cmp.Diff(want, edges(d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{root}, d.DependsOn); diff != "" {
		t.Error(diff)
	}
}

// edges returns the dependencies of each component.
func edges(d *Document) map[string][]string {
	all := map[string][]string{}
	for _, c := range d.Components {
		all[c.ID] = c.DependsOn
	}
	return all
}

// TestMergeTools merges a Containerfile image with a debug layer of store paths, which are read
// separately.
func TestMergeTools(t *testing.T) {
	tools := pathInfo("f", "debug-tools-1")
	store, err := FromClosure(subject("docs"), append(must(smallClosure()), tools), "", tools.Path)
	if err != nil {
		t.Fatal(err)
	}
	busybox := Component{ID: "pkg:generic/busybox", Where: []string{tools.Path + "/bin/busybox"}}
	everywhere := busybox
	everywhere.Where = []string{"/usr/bin/busybox", tools.Path + "/bin/busybox"}
	d := Merge(store, Findings{tools.Path: findings(busybox)}, findings(
		Component{ID: "pkg:deb/a", Where: []string{"/var/lib/dpkg/status"}, DependsOn: []string{"pkg:deb/b"}},
		Component{ID: "pkg:deb/b", Where: []string{"/var/lib/dpkg/status"}, DependsOn: []string{"pkg:nix/debug-tools@1"}},
		Component{ID: "pkg:nix/debug-tools@1", Where: []string{tools.Path}},
		Component{ID: "binary:nowhere@"},
		everywhere,
	))
	if diff := cmp.Diff([]string{tools.Path, "binary:nowhere@", "pkg:deb/a", "pkg:generic/busybox"}, d.DependsOn); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
	got := edges(d)
	for id, want := range map[string][]string{
		tools.Path:  {tools.Path + "#pkg:generic/busybox"},
		"pkg:deb/a": {"pkg:deb/b"}, "pkg:deb/b": nil,
	} {
		if diff := cmp.Diff(want, got[id]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	if _, there := got["pkg:nix/debug-tools@1"]; there {
		t.Error("a store path is there twice")
	}
	for _, c := range d.Components {
		if c.ID == busybox.ID && !cmp.Equal(c.Where, []string{"/usr/bin/busybox"}) {
			t.Errorf("busybox of the image is in %v", c.Where)
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

package sbom

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/nix"
)

var storeNames = []struct{ storeName, name, version string }{
	{"openssl-3.0.14-bin", "openssl", "3.0.14-bin"},
	{"glibc-2.40-66", "glibc", "2.40-66"},
	{"cacert-b0f7124e7e3e", "cacert-b0f7124e7e3e", ""},
	{"cacert-0.b0f7124e7e3e", "cacert", "0.b0f7124e7e3e"}, // the host package set's
	{"python3.13-requests-2.32.4", "python3.13-requests", "2.32.4"},
	{"docs-backend-root", "docs-backend-root", ""},
	{"x", "x", ""},
	{"a-b-", "a-b-", ""},
	{"a--1", "a", "-1"},
	{"foo-_1", "foo", "_1"},
	{"font-7x14.tar.gz", "font", "7x14.tar.gz"},
}

func TestParseStoreName(t *testing.T) {
	for _, test := range storeNames {
		if name, version := parseStoreName(test.storeName); name != test.name || version != test.version {
			t.Errorf("%s: got %q, %q, want %q, %q", test.storeName, name, version, test.name, test.version)
		}
	}
}

func TestNixParsesTheSame(t *testing.T) {
	if _, err := exec.LookPath("nix-instantiate"); err != nil {
		missing(t, "nix-instantiate")
	}
	var list strings.Builder
	for _, test := range storeNames {
		list.WriteString(`"` + test.storeName + `" `)
	}
	out, err := exec.Command("nix-instantiate", "--eval", "--strict", "--json", "--store", "dummy://",
		"--expr", "map builtins.parseDrvName ["+list.String()+"]").Output()
	if err != nil {
		t.Fatal(err)
	}
	var parsed []struct{ Name, Version string }
	if err := json.Unmarshal(out, &parsed); err != nil {
		t.Fatal(err)
	}
	for i, test := range storeNames {
		if parsed[i].Name != test.name || parsed[i].Version != test.version {
			t.Errorf("%s: nix says %+v", test.storeName, parsed[i])
		}
	}
}

func TestFromClosure(t *testing.T) {
	closure, root := smallClosure()
	d, err := FromClosure(subject("docs"), closure, root)
	if err != nil {
		t.Fatal(err)
	}
	server, libc, certs := storePath("b", "my+server-1.2.3"), storePath("a", "glibc-2.40-66"), storePath("c", "cacert")
	want := &Document{
		Subject: subject("docs"), Complete: true, DependsOn: []string{root},
		Components: []Component{
			{ID: libc, Name: "glibc", Version: "2.40-66", Type: "nix", StorePath: libc, NarHash: closure[1].NarHash,
				PURL:  "pkg:nix/glibc@2.40-66?narhash=sha256%3A" + strings.Repeat("0a", 32) + "&outputhash=" + strings.Repeat("a", 32),
				Where: []string{libc}},
			{ID: server, Name: "my+server", Version: "1.2.3", Type: "nix", StorePath: server, NarHash: closure[2].NarHash,
				PURL:  "pkg:nix/my%2Bserver@1.2.3?narhash=sha256%3A" + strings.Repeat("0b", 32) + "&outputhash=" + strings.Repeat("b", 32),
				Where: []string{server}, DependsOn: []string{libc}},
			{ID: certs, Name: "cacert", Type: "nix", StorePath: certs, NarHash: closure[3].NarHash,
				PURL:  "pkg:nix/cacert?narhash=sha256%3A" + strings.Repeat("0c", 32) + "&outputhash=" + strings.Repeat("c", 32),
				Where: []string{certs}},
			{ID: root, Name: "docs-server-root", Type: "nix", StorePath: root, NarHash: closure[0].NarHash,
				PURL:  "pkg:nix/docs-server-root?narhash=sha256%3A" + strings.Repeat("0d", 32) + "&outputhash=" + strings.Repeat("d", 32),
				Where: []string{"/"}, DependsOn: []string{server, certs}},
		},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFromClosureWithTools(t *testing.T) {
	closure, root := smallClosure()
	tools := pathInfo("f", "debug-tools")
	d, err := FromClosure(subject("docs"), append(closure, tools), root, tools.Path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{root, tools.Path}, d.DependsOn); diff != "" {
		t.Error(diff)
	}
	if d, err = FromClosure(subject("docs"), []nix.PathInfo{tools}, "", tools.Path); err != nil || d.Complete {
		t.Errorf("the tools alone: %v, complete %v", err, d.Complete)
	}
}

// The path of the root directory is also at its own path if another path refers to it.
func TestRootAtItsPath(t *testing.T) {
	closure, root := smallClosure()
	d, err := FromClosure(subject("docs"), append(closure, pathInfo("f", "debug-tools", root)), root, storePath("f", "debug-tools"))
	if err != nil {
		t.Fatal(err)
	}
	if where := component(t, d, "docs-server-root").Where; !slices.Equal(where, []string{"/", root}) {
		t.Errorf("the root is at %v", where)
	}
}

func TestBadClosure(t *testing.T) {
	_, root := smallClosure()
	bad := pathInfo("a", "x")
	bad.NarHash = "sha256:abc"
	for want, closure := range map[string][]nix.PathInfo{
		`listing a closure: "sha256:abc" is not the NAR hash of ` + bad.Path: {bad},
		`listing a closure: "/nix/store/x" is not a store path`:              {{Path: "/nix/store/x"}},
		"listing the closure of docs: " + root + " is not in it":             {pathInfo("a", "x")},
	} {
		if _, err := FromClosure(subject("docs"), closure, root); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

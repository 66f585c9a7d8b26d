package sbom

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/nix"
)

// large returns a document of many store paths, each of which needs the ten before it, with as
// many packages in them.
func large(t testing.TB, count int) (*Document, Metadata) {
	t.Helper()
	var closure []nix.PathInfo
	found := Findings{}
	m := Metadata{
		Application: Application{Facts: Facts{Name: "docs", Version: "1", PURL: "pkg:generic/docs@1", License: "MIT"}},
		Paths:       map[string]Facts{}, Modules: map[string]map[string]string{},
	}
	for i := range count {
		info := nix.PathInfo{Path: fmt.Sprintf("/nix/store/%032d-package-%d", i, i), NarHash: fmt.Sprintf("sha256:%064x", i)}
		for j := max(0, i-10); j < i; j++ {
			info.References = append(info.References, closure[j].Path)
		}
		closure = append(closure, info)
		module := fmt.Sprintf("example.org/module-%d", i)
		found[info.Path] = findings(Component{ID: "pkg:golang/" + module + "@v1.0.0", Name: module, Version: "v1.0.0", Type: goModuleType,
			PURL: "pkg:golang/" + module + "@v1.0.0", Where: []string{info.Path + "/bin/x"}, File: File{Name: "x", SHA512: strings.Repeat("0", 128)}})
		m.Paths[info.Path] = Facts{License: "MIT", Creator: "https://example.org", CPEs: []string{"cpe:2.3:a:x:y:1:*:*:*:*:*:*:*"}, Patches: []Patch{{Name: "CVE-2026-1.patch", Resolves: []string{"CVE-2026-1"}}}}
		m.Modules[info.Path] = map[string]string{module: "MIT"}
	}
	d, err := FromClosure(subject("docs"), closure, closure[count-1].Path)
	if err != nil {
		t.Fatal(err)
	}
	d.Tools = []Tool{{"syft", "1"}, {"libre", "1"}}
	return Merge(d, found, nil), m
}

// The time to make the document of a closure, write it in both formats and read it grows with
// the number of store paths, and not with its square.
func TestTimeGrowsWithTheClosure(t *testing.T) {
	took := func(paths int) time.Duration {
		merged, m := large(t, paths)
		begin := bench.CPUTime(t)
		described := merged.Describe(m)
		cyclonedx, err := described.CycloneDX()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := described.SPDX(); err != nil {
			t.Fatal(err)
		}
		read, err := Read(cyclonedx)
		if err != nil {
			t.Fatal(err)
		}
		if missing := read.MissingForBSI(); len(missing) == 0 {
			t.Error("nothing is missing, not even the creator")
		}
		if want := 2*paths + 1; len(described.Components) != want {
			t.Errorf("%d components, want %d", len(described.Components), want)
		}
		return bench.CPUTime(t) - begin
	}
	few := min(took(300), took(300))
	if many := took(3000); many > 30*few {
		t.Errorf("3000 paths take %s, 300 take %s", many, few)
	}
}

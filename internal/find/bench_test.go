package find

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/sbom"
)

// BenchmarkFind searches 500 SBOMs of 500 components, which are in the page cache.
// The yardstick is grep over the same files.
func BenchmarkFind(b *testing.B) {
	index := &Index{filepath.Join(b.TempDir(), "index")}
	var images []Image
	for n := range 500 {
		var components []sbom.Component
		for i := range 500 {
			name := fmt.Sprintf("example.org/group%d/package%d", i%7, i)
			if i == 250 {
				name = "openssl"
			}
			c := component(name, fmt.Sprintf("1.%d.%d", i, n%5), fmt.Sprintf("pkg:golang/%s@1.%d.%d", name, i, n%5), fmt.Sprintf("example.org/group%d/package%d", (i+1)%7, i+1))
			c.Where = []string{fmt.Sprintf("/nix/store/%032d-%s", i, "program/bin/program")}
			components = append(components, c)
		}
		must(b, index.Put(image(n+1), document(n+1, components...)))
		images = append(images, image(n+1))
	}
	query, err := ParseQuery("pkg:golang/openssl@<1.250.1")
	must(b, err)
	bench.Times(b, bench.Row{Table: "Describe and scan", Work: "find a package in 500 SBOMs of 500 components"},
		bench.Program{Name: "libre find", Run: func() bench.Use {
			if failed := index.Refresh(b.Context(), images, nil); len(failed) > 0 {
				b.Fatal(failed)
			}
			matches, err := index.Search(query, images)
			must(b, err)
			if len(matches[0]) != 1 || len(matches[1]) != 0 {
				b.Fatalf("found %d and %d", len(matches[0]), len(matches[1]))
			}
			return bench.Use{}
		}},
		bench.Program{Name: "grep over the same files", Run: func() bench.Use { return bench.Command(b, "grep", "-rci", "openssl", index.Dir) }},
	)
}

package sbom

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/nix"
)

// BenchmarkSBOM lists the contents of a closure of 90 store paths and 350 MB, path by path, with
// licences and hashes, and writes both formats.
func BenchmarkSBOM(b *testing.B) {
	program := goProgram(b)
	random := rand.New(rand.NewPCG(1, 2))
	contents, image := map[string]map[string]string{}, map[string]string{}
	var closure []nix.PathInfo
	for i := range 90 {
		info := nix.PathInfo{Path: fmt.Sprintf("/nix/store/%032d-package-%d", i, i), NarHash: "sha256:" + strings.Repeat("0a", 32)}
		files := map[string]string{}
		for part := range 4 {
			padding := make([]byte, 950_000)
			for at := range padding {
				padding[at] = byte(random.Uint32())
			}
			files[fmt.Sprintf("lib/%d.bin", part)] = string(padding)
		}
		if i%30 == 0 {
			files["bin/hello"] = program
		}
		if i%3 == 0 {
			for n := range 20 {
				name := fmt.Sprintf("package-%d-%d", i, n)
				files["node_modules/"+name+"/package.json"] = `{"name": "` + name + `", "version": "1.0.0", "license": "MIT"}`
			}
		}
		contents[info.Path] = files
		for name, content := range files {
			image[strings.TrimPrefix(info.Path, "/")+"/"+name] = content
		}
		closure = append(closure, info)
	}
	dir, manifests := writeImages(b, image)
	alone := subject("alone")
	alone.Manifest = manifests[0]
	d := store(b, contents, "", closure...)
	ctx := context.Background()
	bench.Times(b, bench.Row{Table: "Describe and scan", Work: "SBOMs of 90 store paths, 350 MB, in both formats", Goal: 1.2},
		bench.Program{Name: "libre", Run: func() bench.Use {
			return scanned(b, func(s *Scanner) error {
				found, err := s.FromStorePaths(ctx, d, nil)
				if err != nil {
					return err
				}
				merged := Merge(d, found, nil)
				merged.Tools = []Tool{{"libre", "1"}}
				described := merged.Describe(Metadata{Application: Application{Facts: Facts{Name: "x", PURL: "pkg:generic/x@1"}}})
				if _, err := described.CycloneDX(); err != nil {
					return err
				}
				_, err = described.SPDX()
				return err
			})
		}},
		bench.Program{Name: "syft alone, of one image with the same files", Run: func() bench.Use {
			return scanned(b, func(s *Scanner) error {
				_, err := s.FromLayout(ctx, dir, alone)
				return err
			})
		}},
	)
}

// scanned runs something with a new scanner, which is a process of its own.
func scanned(b *testing.B, run func(*Scanner) error) bench.Use {
	b.Helper()
	s := scanner(b)
	if err := run(s); err != nil {
		b.Fatal(err)
	}
	s.Close()
	return bench.Use{}
}

package sbom

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/nix"
)

// BenchmarkSBOM lists the contents of a closure of 90 store paths and 350 MB, path by path, with
// licences and hashes, and writes both formats. x-syft is its time by that of syft alone on one
// image with the same files. Goal: at most 1.2.
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
	for b.Loop() {
		var ours, syft measured
		for range 2 {
			ours = shorter(ours, timed(b, func(s *Scanner) error {
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
			}))
			syft = shorter(syft, timed(b, func(s *Scanner) error {
				_, err := s.FromLayout(ctx, dir, alone)
				return err
			}))
		}
		b.ReportMetric(ours.clock.Seconds()/syft.clock.Seconds(), "x-syft")
		b.ReportMetric(ours.processor.Seconds()/syft.processor.Seconds(), "x-cpu")
		b.ReportMetric(syft.clock.Seconds(), "syft-s")
	}
}

// measured has the elapsed time of a run, and the CPU time of its programs.
type measured struct{ clock, processor time.Duration }

// timed returns the time that a new scanner takes, including its start.
func timed(b *testing.B, run func(*Scanner) error) measured {
	before, begin := usedBy(b, unix.RUSAGE_CHILDREN), time.Now()
	s := scanner(b)
	if err := run(s); err != nil {
		b.Fatal(err)
	}
	s.Close()
	return measured{time.Since(begin), usedBy(b, unix.RUSAGE_CHILDREN) - before}
}

// shorter returns the smaller times of two runs.
func shorter(best, next measured) measured {
	if best == (measured{}) {
		return next
	}
	return measured{min(best.clock, next.clock), min(best.processor, next.processor)}
}

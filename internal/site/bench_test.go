package site

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/sbom"
)

// many is a catalogue of apps with four images each, which have so many components beside
// those of the sample, and as many vulnerabilities as a tenth of them.
func many(apps, components int) []*App {
	var all []*App
	for i := range apps {
		name := fmt.Sprintf("app-%03d", i)
		r := sampleRelease(name, "default", "1.0", 1)
		r.Images, r.Changes = nil, nil
		for _, component := range []string{"backend", "frontend", "worker", "proxy"} {
			image := Image{Component: component, Reference: registry + "/" + name + "-" + component + "-default:1.0-1", Digest: digest(name, component), Verified: true}
			p := samplePlatform(name+"-"+component, "1.0-1", "linux/amd64")
			p.SBOM.Components = append(p.SBOM.Components, manyComponents(components)...)
			for n := range components / 10 {
				f := sampleFindings()[n%4]
				f.ID, f.Component.Name = fmt.Sprintf("CVE-2026-%d", 2000+n), fmt.Sprint("@scope/some-package-", n)
				p.Findings = append(p.Findings, f)
			}
			image.Platforms = []Platform{p}
			r.Images = append(r.Images, image)
		}
		all = append(all, &App{Name: name, Document: r.Document, Releases: []Release{r}})
	}
	return all
}

// manyComponents are like what syft finds of an application's packages.
func manyComponents(n int) []sbom.Component {
	const storePath = "/nix/store/00000000000000000000000000000000-frontend"
	id := func(n int) string {
		return fmt.Sprintf("%s#pkg:npm/%%40scope/some-package-%d@1.2.%d", storePath, n, n%7)
	}
	all := make([]sbom.Component, n)
	for i := range all {
		all[i] = sbom.Component{
			ID: id(i), Name: fmt.Sprint("@scope/some-package-", i), Version: fmt.Sprint("1.2.", i%7), Type: "npm",
			PURL: fmt.Sprintf("pkg:npm/%%40scope/some-package-%d@1.2.%d", i, i%7), License: sbom.License{Expression: "MIT"},
			Where: []string{fmt.Sprintf("%s/lib/node_modules/@scope/some-package-%d/package.json", storePath, i)},
			CPEs:  []string{fmt.Sprintf("cpe:2.3:a:\\@scope\\/some-package-%d:\\@scope\\/some-package-%d:1.2.%d:*:*:*:*:*:*:*", i, i, i%7)},
		}
		for other := i + 1; other < min(i+4, n); other++ {
			all[i].DependsOn = append(all[i].DependsOn, id(other))
		}
	}
	return all
}

// BenchmarkCatalogueOf200Apps makes the site of 200 apps of four images each, with 305
// components and 34 vulnerabilities. "s" is how long that takes, with all cores, and "cpu-s"
// how long it computes; the goal is 5 s. "x-decode" is what it computes by what decoding the
// images' SBOMs does. How long the files then take to write depends on the disk.
func BenchmarkCatalogueOf200Apps(b *testing.B) {
	catalogue, _ := sample()
	apps := many(200, 300)
	documents := cycloneDX(b, apps)
	var made, decoded measured
	for b.Loop() {
		decoded.add(b, func() error {
			return eachAtOnce(documents, func(d []byte) error { _, err := sbom.Decode(d); return err })
		})
		made.add(b, func() error { return makeSite(catalogue, apps) })
	}
	b.ReportMetric(made.clock.Seconds()/float64(b.N), "s")
	b.ReportMetric(made.processor.Seconds()/float64(b.N), "cpu-s")
	b.ReportMetric(made.processor.Seconds()/decoded.processor.Seconds(), "x-decode")
}

// measured is how long something took, and how long it computed on all cores in sum.
type measured struct{ clock, processor time.Duration }

func (m *measured) add(b *testing.B, do func() error) {
	b.Helper()
	start, before := time.Now(), bench.CPUTime(b)
	if err := do(); err != nil {
		b.Fatal(err)
	}
	m.clock += time.Since(start)
	m.processor += bench.CPUTime(b) - before
}

// eachAtOnce does something with each of all, as many at once as there are cores.
func eachAtOnce[T any](all []T, do func(T) error) error {
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for _, one := range all {
		group.Go(func() error { return do(one) })
	}
	return group.Wait()
}

// cycloneDX writes the SBOMs of apps.
func cycloneDX(b *testing.B, apps []*App) (all [][]byte) {
	b.Helper()
	for _, app := range apps {
		for _, image := range app.Releases[0].Images {
			document, err := image.Platforms[0].SBOM.CycloneDX()
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, document)
		}
	}
	return all
}

func makeSite(catalogue Catalogue, apps []*App) error {
	w, err := NewWriter(catalogue, func(string, []byte) error { return nil })
	if err != nil {
		return err
	}
	return errors.Join(eachAtOnce(apps, w.Add), w.Finish())
}

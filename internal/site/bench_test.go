package site

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/libresh/libre/internal/atomicfile"
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

// BenchmarkCatalogueOf200Apps writes the site of 200 apps of four images each, with 305
// components and 34 vulnerabilities, into a folder, as libre site does. "s" is how long that
// takes, and "cpu-s" how long it computes, on all cores in sum; the goal is 5 s. "x-decode" is
// what it computes by what decoding the images' SBOMs alone does, which the page does not.
func BenchmarkCatalogueOf200Apps(b *testing.B) {
	catalogue, _ := sample()
	apps := many(200, 300)
	documents := map[*sbom.Document][]byte{}
	for _, app := range apps {
		for _, image := range app.Releases[0].Images {
			document := image.Platforms[0].SBOM
			content, err := document.CycloneDX()
			if err != nil {
				b.Fatal(err)
			}
			documents[document] = content
		}
	}
	var clock, ours, decoding time.Duration
	for b.Loop() {
		before := processor(b)
		var group errgroup.Group
		group.SetLimit(runtime.NumCPU())
		for _, content := range documents {
			group.Go(func() error {
				_, err := sbom.Decode(content)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
		decoding += processor(b) - before
		before = processor(b)
		start := time.Now()
		if err := writeInto(path.Join(b.TempDir(), "public"), catalogue, apps); err != nil {
			b.Fatal(err)
		}
		clock += time.Since(start)
		ours += processor(b) - before
	}
	b.ReportMetric(clock.Seconds()/float64(b.N), "s")
	b.ReportMetric(ours.Seconds()/float64(b.N), "cpu-s")
	b.ReportMetric(ours.Seconds()/decoding.Seconds(), "x-decode")
}

// processor is how long this process has computed.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func writeInto(dir string, catalogue Catalogue, apps []*App) error {
	folder, err := atomicfile.OpenFolder(dir, ".list")
	if err != nil {
		return err
	}
	defer folder.Discard()
	w, err := NewWriter(catalogue, folder.Write)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for _, app := range apps {
		group.Go(func() error { return w.Add(app) })
	}
	return errors.Join(group.Wait(), w.Finish(), folder.Replace())
}

package match

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anchore/grype/grype"
	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/pkg"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/scan/scantest"
	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/vex"
)

const grypeOwn = "LIBRE_TEST_GRYPE" // DATABASE:SBOM, for this program to do what grype does

func TestMain(m *testing.M) {
	if dir, file, ok := strings.Cut(os.Getenv(grypeOwn), ":"); ok {
		n, err := scanAsGrype(dir, file)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(n)
		return
	}
	os.Exit(m.Run())
}

// scanAsGrype reads an SBOM and looks up its packages as the command grype does.
func scanAsGrype(dir, file string) (matches int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	packages, about, _, err := pkg.ProvideFromReader(f, pkg.ProviderConfig{})
	if err != nil {
		return 0, err
	}
	reader, err := v6.NewReader(v6.Config{DBDirPath: dir})
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	found, _, err := (&grype.VulnerabilityMatcher{VulnerabilityProvider: v6.NewVulnerabilityProvider(reader), Matchers: matchers}).FindMatches(packages, about)
	return found.Count(), err
}

// BenchmarkScan scans a cached SBOM of 1,000 components. Both programs are started anew.
// The yardstick is a program that does what grype does.
func BenchmarkScan(b *testing.B) {
	dir, file, components := b.TempDir(), filepath.Join(b.TempDir(), "sbom.cdx.json"), 1000
	writeBench(b, dir, file, components)
	programs, err := testkit.Programs()
	if err != nil {
		b.Fatal(err)
	}
	var theirs string
	found := 0
	bench.Times(b, bench.Row{Table: "Describe and scan", Work: "scan of a cached SBOM of 1,000 components"},
		bench.Program{Name: "libre", Run: func() bench.Use {
			if found, err = scanOnce(filepath.Join(programs, inspect.Program), dir, file); err != nil {
				b.Fatal(err)
			}
			return bench.Use{}
		}},
		bench.Program{Name: "grype alone", Run: func() bench.Use {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), grypeOwn+"="+dir+":"+file)
			out, err := cmd.Output()
			if err != nil {
				b.Fatal(err)
			}
			theirs = strings.TrimSpace(string(out))
			return bench.Use{}
		}},
	)
	if found == 0 || theirs != fmt.Sprint(found) {
		b.Fatalf("grype finds %s, libre %d", theirs, found)
	}
}

func scanOnce(program, dir, file string) (matches int, err error) {
	matcher := scan.NewMatcherAt(program, 0)
	defer matcher.Close()
	opened, err := (&scan.Store{Matcher: matcher, Now: time.Now}).Open(context.Background(), dir)
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	document, err := sbom.Decode(text)
	if err != nil {
		return 0, err
	}
	image, err := matcher.Scan(context.Background(), opened, scan.Image{Root: "docs"}, document, &vex.Answers{})
	return len(image.Findings), err
}

// writeBench writes a database and an SBOM. One in 20 components is vulnerable.
func writeBench(b *testing.B, dir, file string, n int) {
	b.Helper()
	var known []scantest.Record
	byID := map[string]*sbom.Component{}
	for i := range n {
		name, ecosystem, kind := fmt.Sprintf("example.org/module%d", i), "go-module", "golang"
		if i%2 == 1 {
			name, ecosystem, kind = fmt.Sprintf("package%d", i), "npm", "npm"
		}
		purl := fmt.Sprintf("pkg:%s/%s@v1.0.0", kind, name)
		byID[purl] = &sbom.Component{ID: purl, Name: name, Version: "v1.0.0", Type: ecosystem, PURL: purl}
		affected := "< 1.0.0"
		if i%20 == 0 {
			affected = "< 2.0.0"
		}
		known = append(known, scantest.Record{ID: fmt.Sprintf("CVE-2026-%d", 1000+i), Ecosystem: ecosystem, Package: name, Affected: affected, Description: strings.Repeat("text ", 100)})
	}
	if err := scantest.Write(dir, time.Now(), known...); err != nil {
		b.Fatal(err)
	}
	document := sbom.NewDocument(byID, sbom.Tool{Name: "libre", Version: "1"})
	hash := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1a", 32)}
	document.Subject = sbom.Subject{Name: "docs", Version: "1-1", Index: hash, Manifest: hash, Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Created: time.Unix(1, 0)}
	text, err := document.CycloneDX()
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.TrimSpace(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

package sbom

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/testkit"
)

// An image with the database of this machine's dpkg has the packages that dpkg lists. Nearly
// all have a licence, from their copyright files, and a maintainer.
func TestDebianPackagesAreThoseOfDpkg(t *testing.T) {
	testkit.Require(t, "dpkg-query")
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		if name, installed := strings.CutPrefix(strings.TrimSpace(line), "installed "); installed {
			want = append(want, name)
		}
	}
	files := map[string]string{}
	copyrights, err := filepath.Glob("/usr/share/doc/*/copyright")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(copyrights, "/var/lib/dpkg/status", "/etc/os-release") {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(name, "/")] = string(content)
	}
	dir, manifests := writeImages(t, files)
	image := subject("debian")
	image.Manifest = manifests[0]
	d, err := scanner(t).FromLayout(context.Background(), dir, image)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	unknown := map[string]bool{}
	makers := 0
	for _, c := range d.Components {
		got = append(got, c.Name+" "+c.Version)
		if strings.Contains(c.Creator, "@") {
			makers++
		}
		switch {
		case c.License.Expression == "":
			unknown[c.Name] = true
		case license.Check(c.License.Expression) != nil:
			t.Errorf("%s: %v", c.Name, license.Check(c.License.Expression))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(slices.Compact(want), slices.Compact(got)); diff != "" {
		t.Errorf("what dpkg lists, and what is found: %s", diff)
	}
	if len(unknown)*20 > len(d.Components) {
		t.Errorf("%d of %d packages have no licence: %q", len(unknown), len(d.Components), slices.Sorted(maps.Keys(unknown)))
	}
	if makers*20 < len(d.Components)*19 {
		t.Errorf("%d of %d packages have a maintainer", makers, len(d.Components))
	}
	described := Merge(&Document{Subject: image, Tools: d.Tools}, nil, d).Describe(Metadata{Application: Application{Facts: Facts{Name: "debian", PURL: "pkg:generic/debian@12"}}})
	for _, missing := range described.MissingForBSI() {
		if strings.Contains(strings.Join(missing.Fields, ", "), "file") {
			t.Errorf("%s lacks %q", missing.Name, missing.Fields)
		}
	}
	validateStrictly(t, described)
}

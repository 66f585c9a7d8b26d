package build

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan/scantest"
	"github.com/libresh/libre/internal/testkit"
)

// realApps returns the catalogue of `libre init` with libre's own apps added.
func realApps(t *testing.T) catalogue {
	t.Helper()
	testkit.Require(t, "nix", "git", "go", "busybox", "buildah")
	parent := libre.TempDir(t)
	catalogue{dir: parent}.libre(t, "init", "real")
	c := catalogue{dir: filepath.Join(parent, "real")}
	for _, app := range []string{"caddy", "registry"} {
		if err := os.CopyFS(filepath.Join(c.dir, "apps", app), os.DirFS("../../../apps/"+app)); err != nil {
			t.Fatal(err)
		}
	}
	settings := filepath.Join(c.dir, "libre.yaml")
	text, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, settings, string(text)+"\nsbom: {creator: https://coop.example}\n")
	replaceIn(t, filepath.Join(c.dir, "apps/pocketbase/default.nix"), "  packageVersion = 1;\n",
		"  packageVersion = 1;\n  identifiers.cpe = \"cpe:2.3:a:pocketbase:pocketbase:${version}:*:*:*:*:*:*:*\";\n")
	replaceIn(t, filepath.Join(c.dir, "apps/guestbook/default.nix"), "patchSource app [ ./lyon.patch ]",
		`patchSource app [ { file = ./lyon.patch; fixes = [ "CVE-2026-1234" ]; origin = "https://example.org/lyon.patch"; } ]`)
	libre.Tool(t, "git", "-C", c.dir, "add", "--all")
	return c
}

func replaceIn(t *testing.T, file, old, new string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q: %v", file, old, err)
	}
	writeFile(t, file, strings.Replace(string(text), old, new, 1))
}

// The SBOM of a real image has every store path, every Go module with its version, a licence
// for nearly all components, and everything that BSI TR-03183-2 requires. Both formats are
// valid.
func TestSBOMsOfRealApps(t *testing.T) {
	t.Parallel()
	c := realApps(t)
	var all images
	write := func(selection string) []byte {
		written := all.write(t, c, selection)
		if missing, stderr := c.libre(t, "sbom", selection, "--check", "bsi"); missing != "" || !strings.Contains(stderr, "has all that BSI TR-03183-2 v2.1 requires") {
			t.Errorf("%s: %s%s", selection, missing, stderr)
		}
		return written.cyclonedx
	}
	for image, version := range map[string]string{
		"pocketbase/server/default": "v0.36.8", "caddy/server/default": "v2.11.9", "registry/server/default": "v3.1.2",
		"guestbook/backend/default": "v1.0.0", "guestbook/base/default": "v1.0.0", "guestbook/frontend/default": "v1.0.0",
	} {
		d, err := sbom.Read(write(image))
		if err != nil {
			t.Fatalf("%s: %v", image, err)
		}
		checkLicences(t, d)
		if image != "guestbook/frontend/default" {
			checkModules(t, d, version)
			checkPaths(t, d)
		}
		for _, component := range d.Components {
			if d.Paths().To(component.ID) == nil {
				t.Errorf("%s: nothing depends on %s", image, component.ID)
			}
		}
	}
	write("guestbook/*/default")
	checkNames(t, write)
	all.validate(t)
	checkVEXAndScan(t, c, "pocketbase/server/default", "caddy/server/default", "registry/server/default",
		"guestbook/backend/default", "guestbook/base/default", "guestbook/frontend/default", "guestbook/backend/lyon")
}

// checkVEXAndScan validates the statements about images as OpenVEX and CycloneDX VEX, and the
// results of scanning them as SARIF and as a VDR.
func checkVEXAndScan(t *testing.T, c catalogue, images ...string) {
	t.Helper()
	stated := map[string]bool{}
	for _, image := range images {
		app, _, _ := strings.Cut(image, "/")
		if stated[app] {
			continue
		}
		stated[app] = true
		c.libre(t, "vex", "add", app, "CVE-2026-1001", "--status", "not_affected", "--justification", "vulnerable_code_not_in_execute_path", "--notes", "It is \"fine\".")
	}
	dir := t.TempDir()
	write := func(n int, format string, args ...string) string {
		file := filepath.Join(dir, fmt.Sprintf("%d.%s", n, format))
		text, _ := c.libre(t, append(args, "-o", format)...)
		writeFile(t, file, text)
		return file
	}
	var openVEX, cyclonedx []string
	for n, image := range images {
		openVEX = append(openVEX, write(n, "openvex", "vex", image))
		cyclonedx = append(cyclonedx, write(n, "cyclonedx", "vex", image))
	}
	database := t.TempDir()
	err := scantest.Write(database, time.Now().Add(-time.Hour),
		scantest.Record{ID: "CVE-2026-1001", Severity: "critical", Ecosystem: "go-module", Package: "stdlib", Affected: "< 99", FixedIn: "99"},
		scantest.Record{ID: "CVE-2026-1002", CPE: "cpe:2.3:a:busybox:busybox:*:*:*:*:*:*:*:*", Affected: "< 99"})
	if err != nil {
		t.Fatal(err)
	}
	scan := append([]string{"scan", "--db", database}, images...)
	sarif := write(0, "sarif", scan...)
	cyclonedx = append(cyclonedx, write(0, "cyclonedx-vdr", scan...))
	if text, err := os.ReadFile(sarif); err != nil || !strings.Contains(string(text), `"ruleId": "CVE-2026-1001"`) {
		t.Errorf("the scan finds nothing: %v\n%s", err, text)
	}
	schema, err := filepath.Abs("../../vex/testdata/openvex_json_schema.json")
	if err != nil {
		t.Fatal(err)
	}
	testkit.Validate(t, schema, openVEX...)
	testkit.Validate(t, "cyclonedx", cyclonedx...)
	testkit.Validate(t, filepath.Join(moduleDir(t, "github.com/anchore/grype"), "grype/presenter/sarif/testdata/sarif-schema-2.1.0.json"), sarif)
}

// moduleDir returns the folder of a module's source.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	return strings.TrimSpace(libre.Tool(t, "go", "list", "-m", "-f", "{{.Dir}}", module))
}

// The SBOMs of all images in libre init's catalogue are valid in both formats: those of each
// component and variant, and those with debugging tools.
func TestSBOMsOfTheTemplateAreValid(t *testing.T) {
	t.Parallel()
	c := demo(t)
	var all images
	for _, reference := range references(t, c.dist()) {
		repository, _, _ := strings.Cut(reference, ":")
		all.write(t, c, strings.Replace(repository, "-", "/", 2)) // no name has a dash
	}
	all.validate(t)
}

// images has the SBOMs of images, as files.
type images struct{ cyclonedx, spdx []string }

// documents has the SBOMs of one selection.
type documents struct{ cyclonedx, spdx []byte }

// write writes the SBOMs of a selection in both formats.
func (i *images) write(t *testing.T, c catalogue, selection string) documents {
	t.Helper()
	dir := t.TempDir()
	cyclonedx, _ := c.libre(t, "sbom", selection, "-o", "cyclonedx-json")
	spdx, _ := c.libre(t, "sbom", selection, "-o", "spdx-json")
	i.cyclonedx, i.spdx = append(i.cyclonedx, filepath.Join(dir, "sbom.json")), append(i.spdx, filepath.Join(dir, "sbom.spdx.json"))
	writeFile(t, i.cyclonedx[len(i.cyclonedx)-1], cyclonedx)
	writeFile(t, i.spdx[len(i.spdx)-1], spdx)
	return documents{cyclonedx: []byte(cyclonedx), spdx: []byte(spdx)}
}

// validate validates the documents by the schemas of their formats, strictly, and SPDX with its
// own tools too.
func (i *images) validate(t *testing.T) {
	t.Helper()
	testkit.Validate(t, "cyclonedx", i.cyclonedx...)
	testkit.Validate(t, filepath.Join(moduleDir(t, "github.com/anchore/syft"), "schema/spdx-json/spdx-schema-2.3.json"), i.spdx...)
	for _, name := range i.spdx {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		document, err := spdxjson.Read(bytes.NewReader(text))
		if err == nil {
			err = spdxlib.ValidateDocument(document)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// checkNames looks for facts from the definitions: the CPE of one application, once, and a
// patch of one variant in everything that is built from the source.
func checkNames(t *testing.T, write func(selection string) []byte) {
	t.Helper()
	cpes, patched := 0, map[string][]string{}
	for _, image := range []string{"pocketbase/server/default", "guestbook/backend/default", "guestbook/backend/lyon"} {
		d, err := sbom.Read(write(image))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range d.Components {
			if slices.Contains(c.CPEs, "cpe:2.3:a:pocketbase:pocketbase:0.36.8:*:*:*:*:*:*:*") {
				cpes++
			}
			for _, patch := range c.Patches {
				if patch.Name != "lyon.patch" || patch.URL != "https://example.org/lyon.patch" || !slices.Equal(patch.Resolves, []string{"CVE-2026-1234"}) || len(patch.Hash) != len("sha256:")+64 {
					t.Errorf("%s: %s has the patch %+v", image, c.ID, patch)
				}
				patched[image] = append(patched[image], c.Name+" "+c.Type)
			}
		}
	}
	for _, names := range patched {
		slices.Sort(names)
	}
	if diff := cmp.Diff(map[string][]string{"guestbook/backend/lyon": {"example.org/guestbook go-module", "guestbook application", "guestbook nix"}}, patched); diff != "" || cpes != 1 {
		t.Errorf("%d components have the CPE; patched are %s", cpes, diff)
	}
}

func checkLicences(t *testing.T, d *sbom.Document) {
	t.Helper()
	known := 0
	for _, c := range d.Components {
		if c.License.Expression != "" {
			known++
		}
	}
	if known*100 < 95*len(d.Components) {
		t.Errorf("%s: %d of %d components have a licence", d.Subject.Name, known, len(d.Components))
	}
}

// checkModules compares the Go modules with those that Go reads in the program. Go does not
// know the version of the main module.
func checkModules(t *testing.T, d *sbom.Document, version string) {
	t.Helper()
	var got []string
	program := ""
	for _, c := range d.Components {
		if c.Type == "go-module" {
			got = append(got, c.Name+" "+c.Version)
			program = c.Where[0]
		}
	}
	out, err := exec.Command("go", "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(out), "\n")
	want := []string{"stdlib " + strings.Fields(first)[1]}
	for line := range strings.Lines(rest) {
		switch words := strings.Fields(line); words[0] {
		case "mod":
			want = append(want, words[1]+" "+version)
		case "dep":
			want = append(want, words[1]+" "+words[2])
		case "=>":
			want[len(want)-1] = words[1] + " " + words[2]
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: modules that Go reads, and those of the SBOM: %s", d.Subject.Name, diff)
	}
}

func checkPaths(t *testing.T, d *sbom.Document) {
	t.Helper()
	var got []string
	root := ""
	for _, c := range d.Components {
		if c.StorePath != "" {
			got = append(got, c.StorePath)
		}
		if slices.Contains(c.Where, "/") {
			root = c.StorePath
		}
	}
	out, err := exec.Command("nix-store", "-qR", root).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(out))
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: store paths of the closure, and those of the SBOM: %s", d.Subject.Name, diff)
	}
}

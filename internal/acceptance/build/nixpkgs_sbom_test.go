package build

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/sbom"
)

// readSBOM returns the SBOM of an image, and libre's stderr.
func (m machineOf) readSBOM(t *testing.T, c catalogue, image string) (document *sbom.Document, stderr string) {
	t.Helper()
	stdout, stderr, code := m.run(t, c, "substitute = false", "sbom", image, "-o", "cyclonedx-json")
	if code != 0 {
		t.Fatalf("%s: exit code %d\n%s", image, code, stderr)
	}
	document, err := sbom.Read([]byte(stdout))
	if err != nil {
		t.Fatal(err)
	}
	return document, stderr
}

func component(t *testing.T, d *sbom.Document, storeName string) sbom.Component {
	t.Helper()
	for _, c := range d.Components {
		if strings.HasSuffix(c.StorePath, "-"+storeName) {
			return c
		}
	}
	t.Fatalf("%s has no component %s", d.Subject.Name, storeName)
	return sbom.Component{}
}

// The package set has the licence, the home page and the names in databases, even for packages
// that are only named in a string. The derivation has the source and the patches, even for
// packages that the package set does not know by name. libre reports how many these are.
func TestSBOMHasWhatThePackageSetKnows(t *testing.T) {
	t.Parallel()
	c := shaped(t, apps(
		app("uses", `package = pkgs.runCommand "uses" { inherit (pkgs) compress; tool = pkgs.crypto.bin; } "mkdir $out; echo $compress $tool > $out/uses";`),
		app("declared", `package = pkgs.compress; license = "MIT";`),
		app("text", `package = pkgs.runCommand "text" { } "mkdir $out; echo ${pkgs.crypto} ${pkgs.misstated} ${pkgs.throwing} ${pkgs.identified} > $out/text";`),
	))
	badly := app("badly", `package = pkgs.runCommand "badly" { inherit (pkgs) compress; } "mkdir $out; echo $compress ${pkgs.called-badly} ${pkgs.crypto} > $out/text";`)
	for name, content := range badly {
		writeFile(t, mkdirFor(t, filepath.Join(c.dir, "apps", name)), content)
	}
	flake := filepath.Join(c.dir, "flake.nix")
	content, err := os.ReadFile(flake)
	if err != nil || !strings.Contains(string(content), "apps = ./apps;") {
		t.Fatalf("%v\n%s", err, content)
	}
	writeFile(t, flake, strings.Replace(string(content), "apps = ./apps;", `apps = ./apps;
      identifiers = {
        crypto = version: { cpe = "cpe:2.3:a:example:crypto:${version}:*:*:*:*:*:*:*"; };
        identified.purl = "pkg:github/own/identified@2";
      };`, 1))
	libre.Tool(t, "git", "-C", c.dir, "add", "--all")
	m := newMachine(t)
	uses, stderr := m.readSBOM(t, c, "uses/web/default")
	if !strings.Contains(stderr, "the package set does not know 1 of 7 store paths: hidden\n") {
		t.Errorf("libre does not say what is unknown:\n%s", stderr)
	}
	patch, err := os.ReadFile("testdata/nixpkgs/pkgs/CVE-2026-1111.patch")
	if err != nil {
		t.Fatal(err)
	}
	sum := func(text []byte) string { s := sha256.Sum256(text); return "sha256:" + hex.EncodeToString(s[:]) }
	crypto := component(t, uses, "crypto-3.0.13-bin")
	want := []sbom.Patch{
		{Name: "CVE-2026-1111.patch", Hash: sum(patch), Resolves: []string{"CVE-2026-1111"}},
		{Name: "ghsa-4xqx-pqpj-9fqw.diff", Hash: sum([]byte("diff")), URL: "https://example.org/ghsa-4xqx-pqpj-9fqw.diff", Resolves: []string{"GHSA-4xqx-pqpj-9fqw"}},
	}
	if crypto.Name != "crypto" || crypto.Version != "3.0.13" || crypto.License.Expression != "Apache-2.0 AND LicenseRef-nixos-own-licence" || crypto.License.Concluded ||
		crypto.Creator != "https://crypto.example" || crypto.Source.URL != "https://example.org/crypto-3.0.13.tar" || !strings.HasPrefix(crypto.Source.Hash, "sha256-") ||
		!slices.Equal(crypto.CPEs, []string{"cpe:2.3:a:example:crypto:3.0.13:*:*:*:*:*:*:*"}) || len(crypto.Patches) != 2 {
		t.Fatalf("crypto %+v", crypto)
	}
	for i := range want {
		got := crypto.Patches[i]
		if got.Name != want[i].Name || got.Hash != want[i].Hash || got.URL != want[i].URL || !slices.Equal(got.Resolves, want[i].Resolves) {
			t.Errorf("patch %+v, expected %+v", got, want[i])
		}
	}
	if compress := component(t, uses, "compress-1.3"); compress.License.Expression != "Zlib" {
		t.Errorf("compress %+v", compress)
	}
	if hidden := component(t, uses, "hidden-0.1"); hidden.License.Expression != "" || hidden.Source.URL != "https://example.org/hidden.tar" {
		t.Errorf("hidden %+v", hidden)
	}

	text, _ := m.readSBOM(t, c, "text/web/default")
	if crypto := component(t, text, "crypto-3.0.13"); crypto.License.Expression == "" || len(crypto.Patches) != 2 {
		t.Errorf("crypto, in a string: %+v", crypto)
	}
	for _, name := range []string{"misstated-1", "throwing-1"} {
		if c := component(t, text, name); c.License.Expression != "" {
			t.Errorf("%s has the licence %s", name, c.License.Expression)
		}
	}
	identified := component(t, text, "identified-2")
	if identified.License.Expression != "MIT OR ISC" || identified.PURL != "pkg:github/own/identified@2" || !slices.Equal(identified.CPEs, []string{"cpe:2.3:a:own:identified:2:*:*:*:*:*:*:*"}) {
		t.Errorf("identified %+v", identified)
	}

	declared, stderr := m.readSBOM(t, c, "declared/web/default")
	if want := "declared licenses disagree with what is in the image: declared 1 (MIT by the definition, Zlib by its package)"; !strings.Contains(stderr, want) {
		t.Errorf("libre does not say %q:\n%s", want, stderr)
	}
	if compress := component(t, declared, "compress-1.3"); compress.License.Expression != "MIT" {
		t.Errorf("compress, declared %+v", compress)
	}

	// A package that cannot be evaluated hides no other package of the image.
	bad, stderr := m.readSBOM(t, c, "badly/web/default")
	if !strings.Contains(stderr, "the package set does not know 4 of ") {
		t.Errorf("libre does not say what is unknown:\n%s", stderr)
	}
	if compress, called := component(t, bad, "compress-1.3"), component(t, bad, "mistaken-4"); compress.License.Expression != "Zlib" || called.License.Expression != "" {
		t.Errorf("compress %+v\ncalled badly %+v", compress, called)
	}
	// It also hides no packages of other apps, which are in the same question.
	listed, _, code := m.run(t, c, "substitute = false", "licenses", "*/web/default")
	if code != 0 || !strings.Contains(listed, "crypto\t3.0.13\tApache-2.0 AND LicenseRef-nixos-own-licence\t") || !strings.Contains(listed, "identified\t2\tMIT OR ISC\t") {
		t.Errorf("exit code %d\n%s", code, listed)
	}
	for _, d := range []*sbom.Document{uses, text, bad} {
		checkClosure(t, m, d)
	}
}

// checkClosure compares the store paths of an SBOM with the output of nix-store.
func checkClosure(t *testing.T, m machineOf, d *sbom.Document) {
	t.Helper()
	var got []string
	root := ""
	for _, component := range d.Components {
		if component.StorePath != "" {
			got = append(got, component.StorePath)
		}
		if slices.Equal(component.Where, []string{"/"}) {
			root = component.StorePath
		}
	}
	want := strings.Fields(m.tool(t, "nix-store", "-qR", root))
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s has the store paths %q, expected %q", d.Subject.Name, got, want)
	}
}

// mkdirFor makes the folder of a file, and returns the file.
func mkdirFor(t *testing.T, file string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

package nix

import (
	"slices"
	"testing"
)

// The purpose of a patch is metadata. The image key stays the same, whichever form the patch
// has in the definition.
func TestWhatAPatchIsForIsNotInTheImageKey(t *testing.T) {
	requireNix(t)
	const component = `  components.web.containerfile = "Containerfile";
  source.path = ./src;
`
	catalogue := func(patches string) string {
		return writeCatalogue(t, one(component+patches)+
			"-- apps/one/src/Containerfile --\nFROM scratch\n-- apps/one/fix.patch --\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n")
	}
	key := func(patches string) string {
		evaluation, err := evaluateAll(t, catalogue(patches), HostPackageName)
		if err != nil || len(evaluation.Failures) > 0 {
			t.Fatal(patches, err, evaluation)
		}
		return evaluation.Images[0].Key()
	}
	plain := key(`patches = [ ./fix.patch ];`)
	for _, same := range []string{
		`patches = [ { file = ./fix.patch; } ];`,
		`patches = [ { file = ./fix.patch; fixes = [ "CVE-2026-1234" ]; } ];`,
		`patches = [ { file = ./fix.patch; fixes = [ "GO-2026-1" "GHSA-4xqx-pqpj-9fqw" ]; origin = "https://example.org/fix.patch"; } ];`,
	} {
		if got := key(same); got != plain {
			t.Errorf("%s has the key %s, expected %s", same, got, plain)
		}
	}
	const fetched = `hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";`
	withURL := key(`patches = [ { url = "https://example.org/1.patch"; ` + fetched + ` } ];`)
	if got := key(`patches = [ { url = "https://example.org/2.patch"; ` + fetched + ` fixes = [ "CVE-2026-1" ]; } ];`); got != withURL || got == plain {
		t.Errorf("a fetched patch has the key %s, with other metadata %s, as a file %s", withURL, got, plain)
	}

	dir := catalogue(`patches = [ ./fix.patch { file = ./fix.patch; fixes = [ "CVE-2026-1234" ]; origin = "https://example.org/a.patch"; } ];
  variants.lyon = app: patchSource app [ { url = "https://example.org/b.patch"; ` + fetched + ` fixes = [ "CVE-2026-5" ]; } ];`)
	evaluation, err := evaluateAll(t, dir, HostPackageName)
	if err != nil {
		t.Fatal(err)
	}
	app := evaluation.Apps["one"]
	changes := append(slices.Clone(app.Changes), app.VariantChanges["lyon"]...)
	if len(changes) != 3 {
		t.Fatalf("changes are %+v", changes)
	}
	for i, want := range []struct{ patch, origin, fixes string }{
		{"apps/one/fix.patch", "", ""},
		{"apps/one/fix.patch", "https://example.org/a.patch", "CVE-2026-1234"},
		{"https://example.org/b.patch", "https://example.org/b.patch", "CVE-2026-5"},
	} {
		got := changes[i]
		if got.Patch != want.patch || got.Origin != want.origin || len(got.Fixes) > 1 || want.fixes != "" && !slices.Equal(got.Fixes, []string{want.fixes}) {
			t.Errorf("change %d is %+v, expected %+v", i, got, want)
		}
	}
}

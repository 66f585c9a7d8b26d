package nix

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// A build without output ends after a time limit, and is named.
func TestSilentBuildsEnd(t *testing.T) {
	n := requireNix(t)
	catalogue, err := n.OpenCatalogue(t.Context(), writeCatalogue(t, `-- apps/silent/default.nix --
{ mkApp, pkgs, ... }:
mkApp {
  name = "silent"; version = "1"; packageVersion = 1;
  components.web.package = { ... }: pkgs.runCommand "waits" { } "sleep 300";
}
`), HostPackageName)
	if err != nil {
		t.Fatal(err)
	}
	evaluation, err := catalogue.Evaluate(t.Context(), Request{Patterns: []catalog.Pattern{{App: "*", Component: "*", Variant: "default"}}, Systems: []string{"x86_64-linux"}})
	if err != nil || len(evaluation.Images) != 1 {
		t.Fatal(err, evaluation)
	}
	rootfs := evaluation.Images[0].Rootfs()
	failures, err := n.Realise(t.Context(), []Output{{*rootfs.Drv, rootfs.Out}}, t.TempDir(), func(LogEvent) {}, "--max-silent-time", "1")
	if err != nil {
		t.Fatal(err)
	}
	for drv, failure := range failures {
		if DrvName(drv) == "waits" && strings.Contains(failure.Error(), "timed out after 1 seconds of silence") {
			return
		}
	}
	t.Errorf("failures: %v", failures)
}

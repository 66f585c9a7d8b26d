package nix

import (
	"os/exec"
	"strings"
	"testing"
)

// A variant that changes its source reuses the compiled dependencies, even though it fetches
// them with its own changed source.
func TestVariantsShareCompiledDependencies(t *testing.T) {
	requireNix(t)
	dir := writeCatalogue(t, `-- apps/tool/default.nix --
{ mkApp, pkgs, substituteSource, ... }:
mkApp {
  name = "tool"; version = "1.2"; packageVersion = 1;
  source.path = ./src;
  components.tool.package = { source, version, ... }: pkgs.buildGoModule {
    pname = "tool"; inherit version; src = source;
    vendorHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  };
  variants.lyon = app: substituteSource app { "main.go"."Hello" = "Bonjour"; };
}
-- apps/tool/src/main.go --
package main

func main() { println("Hello") }
`)
	evaluation, err := evaluateAll(t, dir, HostPackageName)
	if err != nil {
		t.Fatal(err)
	}
	sources, compiled := map[string]bool{}, map[string]bool{}
	for _, image := range evaluation.Images {
		if image.Variant == "debug" {
			continue
		}
		sources[*image.Rootfs().Drv] = true
		for _, drv := range query(t, "--requisites", *image.Rootfs().Drv) {
			if strings.HasSuffix(drv, "-go-dependencies.drv") {
				compiled[query(t, "--outputs", drv)[0]] = true
			}
		}
	}
	if len(sources) != 2 || len(compiled) != 1 {
		t.Errorf("images %v have compiled dependencies %v, want 2 and the same", sources, compiled)
	}
}

// query asks the store about one path.
func query(t *testing.T, question, path string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nix-store", "--query", question, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

package build

import (
	"fmt"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/bench"
	"github.com/libresh/libre/internal/testkit"
)

// BenchmarkRemoteBuilder builds an app in Go on a machine that has nothing of it. It counts what
// comes back, which Go's compiled library would be the largest part of.
func BenchmarkRemoteBuilder(b *testing.B) {
	c := newCatalogue(b, map[string]string{
		"web/default.nix": `{ mkApp, ... }: mkApp {
  name = "web"; version = "1.0"; packageVersion = 1;
  source.path = ./src;
  components.server.package = { buildGoModule, ... }: buildGoModule { vendorHash = null; env.CGO_ENABLED = "0"; doCheck = false; };
}
`,
		"web/src/go.mod":  "module example.org/web\n\ngo 1.26\n",
		"web/src/main.go": "package main\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n)\n\nfunc main() { fmt.Println(http.ListenAndServe(\":8080\", nil)) }\n",
	})
	c.flags = []string{"--package-set", "host"}
	const image = "web/server/default"
	back := func(build func(here machineOf, spec string)) float64 {
		remote := newRemoteBuilder(b, machine(), "")
		here := newMachine(b)
		here.env = []string{"NIX_SSHOPTS=-F " + remote.config}
		here.run(b, c, buildsNothing, "build", image) // fails, and leaves the derivations
		before := here.sizes(b, "--all")
		build(here, remote.spec(machine()))
		var bytes float64
		for path, size := range here.sizes(b, "--all") {
			if _, known := before[path]; !known {
				bytes += size
			}
		}
		return bytes / 1e6
	}
	var needed float64
	ours := back(func(here machineOf, spec string) {
		if _, stderr, code := here.run(b, c, buildsNothing, "build", image, "--builders", spec); code != 0 {
			b.Fatalf("exit code %d\n%s", code, stderr)
		}
		for _, size := range here.sizes(b, "--recursive $(ls -d /nix/store/*-web-server-root)") {
			needed += size / 1e6
		}
	})
	nix := back(func(here machineOf, spec string) {
		cmd := here.command(c.dir, buildsNothing+"build-users-group =\n", "sh", "-euc", `nix-store --realise --builders "$1" /nix/store/*-web-server-root.drv`, "sh", spec)
		if _, stderr, err := testkit.Output(cmd); err != nil {
			b.Fatalf("%v\n%s", err, stderr)
		}
	})
	bench.Keep(b, bench.Row{Table: "What is sent", Work: "a Go app built by a remote builder, what comes back", Unit: "MB", Goal: 1, Sides: []bench.Side{
		{Name: "libre build", Values: []float64{ours}}, {Name: "the closure of the image", Values: []float64{needed}}, {Name: "nix-store --realise", Values: []float64{nix}},
	}})
}

// sizes returns the sizes of a machine's store paths, in bytes. paths is --all, or other arguments
// of nix path-info.
func (m machineOf) sizes(t testing.TB, paths string) map[string]float64 {
	t.Helper()
	sizes := map[string]float64{}
	for line := range strings.Lines(m.tool(t, "sh", "-euc", "nix --extra-experimental-features nix-command path-info --size "+paths)) {
		var path string
		var size float64
		if _, err := fmt.Sscan(line, &path, &size); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		sizes[path] = size
	}
	return sizes
}

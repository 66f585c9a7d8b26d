package publish

import (
	"debug/elf"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// bothSystems is an app with a program for both systems, and one for a single system.
var bothSystems = map[string]string{
	"tool/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "tool"; version = "1"; packageVersion = 1;
  source.path = ./src;
  components.server = {
    package = { source, version, ... }: pkgs.buildGoModule {
      pname = "tool"; inherit version; src = source; vendorHash = null;
    };
    entrypoint = [ "bin/tool" ];
  };
  components.single = { package = pkgs.writeText "single" "single\n"; systems = [ "x86_64-linux" ]; };
}
`,
	"tool/src/go.mod":  "module example.org/tool\n\ngo 1.22\n",
	"tool/src/main.go": "package main\n\nfunc main() { println(\"tool\") }\n",
}

// A release for two systems is an index of two manifests, all signed and with attestations.
// What a system does not support is reported, including the debug tools.
func TestReleaseForTwoSystemsIsOneSignedIndex(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "skopeo")
	c := newCatalogue(t, bothSystems, "x86_64-linux", "aarch64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	both, one := []string{"linux/amd64", "linux/arm64"}, []string{"linux/amd64"}
	for _, kind := range []string{"referrers", "docker-registry"} {
		t.Run(kind, func(t *testing.T) {
			reg := newWatched(t, kind, sign.Bundle)
			pushed := c.run("push", "tool", "--to", reg.prefix()).want(t, 0)
			printed := printedDigests(pushed, "published")
			if len(printed) != 6 {
				t.Errorf("published:\n%s", pushed.stdout)
			}
			for image, reason := range map[string]string{
				"tool/server/debug": "has no debug tools: ", "tool/single/debug": "is for x86_64-linux only", "tool/single/default": "is for x86_64-linux only",
			} {
				if got := strings.Count(pushed.stderr, image+": skipped for aarch64-linux: "+reason); got != 1 {
					t.Errorf("%s: said %d times that it is skipped for aarch64-linux:\n%s", image, got, pushed.stderr)
				}
			}
			reg.audit(t) // of the index and each child
			if verified := c.run("verify", "tool", "--to", reg.prefix()).want(t, 0); strings.Count(verified.stdout, "\tverified\t") != 6 {
				t.Errorf("libre verify:\n%s", verified.stdout)
			}
			record := readRecord(t, c, reg, "tool-default:1-1")
			checkSystems(t, reg, record.Components["server"], both)
			checkSystems(t, reg, record.Components["single"], one)
			checkSystems(t, reg, readRecord(t, c, reg, "tool-debug:1-1").Components["server"], one)
			for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
				checkProgram(t, reg, record.Components["server"].Systems["linux/"+arch], arch, machine)
			}
			if again := c.run("push", "tool", "--to", reg.prefix()).want(t, 0); len(printedDigests(again, "unchanged")) != 6 {
				t.Errorf("pushed again:\n%s", again.stdout)
			}
		})
	}
}

// A package that the host's package set lacks for a system is skipped there. Nothing else
// is skipped.
func TestPackageThatASystemLacksIsSkippedThere(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"box/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "box"; version = "1"; packageVersion = 1;
  components.shell.package = pkgs.busybox;
  components.text.package = pkgs.writeText "text" "text\n";
}
`}, "x86_64-linux", "aarch64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	reg := newWatched(t, "referrers", sign.Bundle)
	pushed := c.run("push", "box/*/default", "--to", reg.prefix()).want(t, 0)
	if !strings.Contains(pushed.stderr, "box/shell/default: skipped for aarch64-linux: ") {
		t.Errorf("nothing says what is skipped for aarch64-linux:\n%s", pushed.stderr)
	}
	record := readRecord(t, c, reg, "box-default:1-1")
	checkSystems(t, reg, record.Components["shell"], []string{"linux/amd64"})
	checkSystems(t, reg, record.Components["text"], []string{"linux/amd64", "linux/arm64"})
}

// readRecord reads a record with libre.
func readRecord(t *testing.T, c catalogue, reg *watched, reference string) state.Record {
	t.Helper()
	var record state.Record
	shown := c.run("show", reg.prefix()+"/"+reference).want(t, 0)
	if err := json.Unmarshal([]byte(shown.stdout), &record); err != nil {
		t.Fatal(err)
	}
	return record
}

// checkSystems compares the manifests of an index with a record.
func checkSystems(t *testing.T, reg *watched, component *state.RecordComponent, platforms []string) {
	t.Helper()
	index, err := name.NewTag(reg.prefix() + "/" + component.Reference.String())
	if err != nil {
		t.Fatal(err)
	}
	digests := children(t, index)
	if len(digests) != len(platforms) || len(component.Systems) != len(platforms) {
		t.Errorf("%s: the index has %v, the record %v, want %v", component.Reference, digests, component.Systems, platforms)
		return
	}
	for i, platform := range platforms {
		if component.Systems[platform] != digests[i].DigestStr() {
			t.Errorf("%s: %s is %s in the record, %s in the index", component.Reference, platform, component.Systems[platform], digests[i])
		}
	}
}

// checkProgram pulls the server for an architecture with skopeo.
func checkProgram(t *testing.T, reg *watched, digest, arch string, machine elf.Machine) {
	t.Helper()
	from := "docker://" + reg.prefix() + "/tool-server-default:1-1"
	layout := filepath.Join(t.TempDir(), "layout")
	libre.Tool(t, "skopeo", "copy", "--quiet", "--override-arch", arch, "--src-tls-verify=false", from, "oci:"+layout+":pulled")
	image := onlyImage(t, layout)
	if got, err := image.Digest(); err != nil || got.String() != digest {
		t.Errorf("skopeo pulls %s for %s, the record has %s, %v", got, arch, digest, err)
	}
	if config, err := image.ConfigFile(); err != nil || config.Architecture != arch {
		t.Errorf("the image for %s: %+v, %v", arch, config, err)
	}
	root := t.TempDir()
	unpack(t, image, root)
	programs, err := filepath.Glob(filepath.Join(root, "nix/store/*/bin/tool"))
	if err != nil || len(programs) != 1 {
		t.Fatalf("programs %v, %v", programs, err)
	}
	program, err := elf.Open(programs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if program.Machine != machine {
		t.Errorf("the program for %s is for %s", arch, program.Machine)
	}
}

package build

import (
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// interpreter returns the dynamic linker of this machine's programs.
func interpreter(t *testing.T) string {
	t.Helper()
	file, err := elf.Open("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			name, err := io.ReadAll(segment.Open())
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimRight(string(name), "\x00")
		}
	}
	t.Skip("the machine's programs are static")
	return ""
}

// Dynamically linked tools, such as nixpkgs' busybox, contain everything that they need:
// the dynamic linker is in the store, and no base has it there.
func TestDynamicallyLinkedDebugToolsRun(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "buildah")
	linker, err := os.ReadFile(interpreter(t))
	if err != nil {
		t.Fatal(err)
	}
	c := newCatalogue(t, map[string]string{
		"dynamic/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "dynamic"; version = "1"; packageVersion = 1;
  source.path = ./src;
  components = {
    nix = { package = pkgs.runCommand "web" { } "mkdir $out"; volumes = [ "/opt" ]; };
    none = { containerfile = "none"; user = 1000; };
    musl = { containerfile = "musl"; user = 1000; };
    glibc = { containerfile = "glibc"; user = 1000; };
  };
}
`,
		"dynamic/src/none": "FROM scratch\nCOPY none /none\n",
		// Bases with a linker under musl's name and one under glibc's, both useless. /opt,
		// /nix and /lib64 are links in one of them.
		"dynamic/src/musl":                   "FROM scratch\nCOPY root/lib /lib\nENV PATH=/bin LD_LIBRARY_PATH=/lib\n",
		"dynamic/src/glibc":                  "FROM scratch\nCOPY root /\n",
		"dynamic/src/root/lib/ld-musl.so":    "none",
		"dynamic/src/root/lib/libc.so.6":     "none",
		"dynamic/src/root/lib64":             "-> lib",
		"dynamic/src/root/opt":               "-> srv/opt",
		"dynamic/src/root/srv/opt/other":     "x",
		"dynamic/src/root/nix":               "-> srv/nix",
		"dynamic/src/root/srv/nix/var/other": "x",
		"_busybox/data":                      "data of the dynamic linker",
		"_busybox/main.go": `package main

import "os"

func main() {
	linker, err := os.ReadFile(os.Getenv("LINKER"))
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString(os.Args[0] + " " + string(linker) + "\n")
}
`,
	})
	if err := os.WriteFile(filepath.Join(c.dir, "apps", "_busybox", "linker"), linker, 0o755); err != nil {
		t.Fatal(err)
	}
	flake := filepath.Join(c.dir, "flake.nix")
	text, err := os.ReadFile(flake)
	if err != nil {
		t.Fatal(err)
	}
	const inherited = "inherit nixpkgs;"
	if !strings.Contains(string(text), inherited) {
		t.Fatalf("flake.nix has no %q:\n%s", inherited, text)
	}
	writeFile(t, flake, strings.Replace(string(text), inherited, `nixpkgs.legacyPackages = builtins.mapAttrs
        (_: pkgs: pkgs // rec {
          data = pkgs.runCommand "data" { } "cp ${apps/_busybox/data} $out";
          libc = pkgs.runCommand "libc" { } ''
            mkdir -p $out/lib
            cp ${apps/_busybox/linker} $out/lib/ld.so
            ln -s ${data} $out/lib/data
          '';
          busybox = pkgs.runCommand "busybox-1" { nativeBuildInputs = [ pkgs.go ]; } ''
            export HOME=$TMPDIR GOCACHE=$TMPDIR/cache GOTOOLCHAIN=local GO111MODULE=off CGO_ENABLED=0
            cp ${apps/_busybox/main.go} main.go
            mkdir -p $out/bin
            go build -trimpath -buildmode=pie -ldflags "-I ${libc}/lib/ld.so" -o $out/bin/busybox main.go
            ln -s busybox $out/bin/sh
          '';
        })
        nixpkgs.legacyPackages;`, 1))
	libre.Tool(t, "git", "-C", c.dir, "add", "--all")
	c.libre(t, "build", "dynamic/*/debug")
	for _, component := range []string{"nix", "none", "musl", "glibc"} {
		reference := "dynamic-" + component + "-debug:1-1"
		tools := configOf(t, openImage(t, c.dist(), reference, "linux/"+runtime.GOARCH))
		if path := environment(tools, "PATH"); !strings.HasSuffix(path, ":"+toolsDir) {
			t.Errorf("%s: PATH is %s", component, path)
		}
		files := readTree(t, openImage(t, c.dist(), reference, "linux/"+runtime.GOARCH))
		data := ""
		for name := range files {
			if strings.HasSuffix(name, "-libc/lib/data") {
				data = name
			}
		}
		k := runContainer(t, c, reference, changes{args: []string{toolsDir + "/sh"}, env: []string{"LINKER=" + data}, readOnly: true})
		if got := k.wait(t); got != toolsDir+"/sh data of the dynamic linker\n" {
			t.Errorf("%s: the tool prints %q", component, got)
		}
	}
}

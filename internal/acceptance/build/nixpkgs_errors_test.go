package build

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// An error in nixpkgs is one line with the position in the catalogue that led there. A file
// has Nix's whole message. The other apps are built.
func TestErrorsInsideThePackageSetNameThePlaceInTheCatalogue(t *testing.T) {
	t.Parallel()
	c := shaped(t, apps(
		app("good", `package = pkgs.hello;`),
		app("unavailable", `package = pkgs.unavailable;`),
		app("broken", `package = pkgs.broken;`),
		app("unfree", `package = { ... }: pkgs.unfree;`),
		app("insecure", `package = pkgs.insecure;`),
		app("needs-broken", `package = pkgs.needs-broken;`),
		app("renamed", `package = pkgs.renamed;`),
		app("mistaken", `package = pkgs.mistaken;`),
		app("inside", `package = pkgs.runCommand "inside" { } "echo ${pkgs.broken} > $out";`),
		app("absent", `package = pkgs.no-such-package;`),
		map[string]string{
			"mapped/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "mapped"; packageVersion = 1;

  version = "1";
  components = builtins.mapAttrs (_: package: { inherit package; }) { web = pkgs.mistaken; };
}
`,
			"elsewhere/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "elsewhere"; version = "1"; packageVersion = 1;
  components.web = {
    package = import ./package.nix pkgs;
  };
}
`,
			"elsewhere/package.nix": "pkgs:\n\n\n\n  pkgs.runCommand \"elsewhere\" { inherit (pkgs) renamed; } \"true\"\n",
		},
	))
	m := newMachine(t)
	stdout, stderr, code := m.run(t, c, "substitute = false", "build", "--all")
	if code != 3 || !strings.Contains(stdout, "good-web-default:1-1@sha256:") {
		t.Fatalf("exit code %d, %s\n%s", code, stdout, stderr)
	}
	for name, want := range map[string]string{
		"broken":       `Package ‘broken-1’ in pkgs/stdenv/packages.nix:7 is marked as broken, refusing to evaluate; .*mkCatalogue`,
		"unfree":       `Package ‘unfree-1’ in \S+ has an unfree license \(‘unfree’\), refusing to evaluate; .*mkCatalogue`,
		"insecure":     `Package ‘insecure-1’ in \S+ is marked as insecure, refusing to evaluate; .*mkCatalogue`,
		"needs-broken": `Package ‘broken-1’ in \S+ is marked as broken, refusing to evaluate; .*mkCatalogue`,
		"inside":       `Package ‘broken-1’ in \S+ is marked as broken, refusing to evaluate; .*mkCatalogue`,
		"renamed":      `'renamed' has been renamed to 'hello'`,
		"mistaken":     `attribute 'new' missing`,
		"absent":       `attribute 'no-such-package' missing`,
		"mapped":       `attribute 'new' missing`,
		"elsewhere":    `'renamed' has been renamed to 'hello'`,
	} {
		line := regexp.MustCompile(`(?m)^failed: ` + name + `\n  evaluate: apps/` + name + `/(?:default|package)\.nix:[56]:\d+: ` + want + `.*$(?:\n  log: (.*)$)?`).FindStringSubmatch(stderr)
		if line == nil {
			t.Errorf("%s: expected %s in\n%s", name, want, stderr)
			continue
		}
		if name == "absent" {
			continue // the catalogue's own mistake: the line has the whole error
		}
		log := filepath.Join(m.cache, "libre", "logs", "evaluate-"+name+".log")
		if line[1] != log {
			t.Errorf("%s: %s is not named: %s", name, log, line[1])
		}
		info, err := os.Stat(log)
		if err != nil {
			t.Error(err)
			continue
		}
		content, err := os.ReadFile(log)
		if err != nil || info.Mode() != 0o600 || !bytes.Contains(content, []byte("error:")) || !bytes.Contains(content, []byte("pkgs/stdenv/default.nix")) && name != "renamed" {
			t.Errorf("%s: %v, mode %s\n%s", log, err, info.Mode(), content)
		}
	}
	if info, err := os.Stat(filepath.Join(m.cache, "libre", "logs")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of logs: %v, mode %s", err, info.Mode())
	}
	if !strings.Contains(stderr, "unavailable/web/default: skipped: package unavailable-1 is not available") {
		t.Errorf("what is not for this system is not skipped:\n%s", stderr)
	}
	_, stderr, code = m.run(t, c, "substitute = false", "plan", "mistaken")
	if code == 0 || !strings.Contains(stderr, "apps/mistaken/default.nix:5:") || !strings.Contains(stderr, "full log: "+m.cache) {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

// An image with a package of several outputs contains those that are needed at run time,
// also if only a string names them. The SBOM lists the same outputs.
func TestImageHasTheOutputsItNeedsAtRunTime(t *testing.T) {
	t.Parallel()
	c := shaped(t, apps(
		app("multi", `package = pkgs.multi; entrypoint = [ "bin/multi" ];`),
		app("text", `package = pkgs.runCommand "text" { } "mkdir $out; echo ${pkgs.data}/share > $out/text";`),
		app("file", `package = pkgs.hello; files."/etc/app.conf".source = ./default.nix;`),
		app("structured", `package = pkgs.structured;`),
	))
	m := newMachine(t)
	if _, stderr, code := m.run(t, c, "substitute = false", "build", "--all"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	for name, want := range map[string][]string{
		"multi": {"multi-8.0.1", "multi-8.0.1-bin"}, "text": {"data-3", "data-index-1", "text"},
		"structured": {"structured-1.0"}, "file": {"hello-2.12"},
	} {
		tree := readTree(t, openImage(t, c.dist(), name+"-web-default:1-1", ""))
		var there []string
		for path := range tree {
			found := regexp.MustCompile(`^/?nix/store/[0-9a-z]{32}-([^/]+)$`).FindStringSubmatch(path)
			if found != nil && !strings.HasSuffix(path, "-root") && !strings.Contains(path, "nss-cacert") {
				there = append(there, found[1])
			}
		}
		slices.Sort(there)
		if !slices.Equal(there, want) {
			t.Errorf("%s has %q, expected %q", name, there, want)
		}
		stdout, stderr, code := m.run(t, c, "substitute = false", "sbom", name+"/web/default")
		if code != 0 {
			t.Errorf("%s: exit code %d\n%s", name, code, stderr)
		}
		for _, path := range want {
			if !strings.Contains(stdout, "-"+path+"\n") && !strings.Contains(stdout, "-"+path+"\t") {
				t.Errorf("%s: the SBOM has no %s:\n%s", name, path, stdout)
			}
		}
	}
}

// Images for another system need a machine that builds for it, or a definition that
// cross-compiles on this one.
func TestAnotherSystemNeedsABuilderOrCrossFrom(t *testing.T) {
	t.Parallel()
	if machine() != "x86_64-linux" {
		t.Skip("compiles from x86_64-linux")
	}
	crossed := app("crossed", `package = { system, ... }: pkgs.runCommand "both" { } "mkdir $out; cp ${pkgs.hello}/bin/hello $out; echo ${system} > $out/system";`)
	for name, content := range crossed {
		crossed[name] = strings.Replace(content, "packageVersion = 1;", `packageVersion = 1; crossFrom = "x86_64-linux";`, 1)
	}
	c := shaped(t, apps(app("native", `package = pkgs.hello;`), crossed))
	_, stderr, code := newMachine(t).run(t, c, "substitute = false", "build", "--all", "--system", "x86_64-linux,aarch64-linux")
	if code != 3 {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if want := regexp.MustCompile(`failed: native/web/default, native/web/debug\n  build: aarch64-linux: building \S+: it must be built on aarch64-linux, but this machine is x86_64-linux: add a builder with --builders, or set crossFrom = "x86_64-linux"`); !want.MatchString(stderr) {
		t.Errorf("what is needed is not said:\n%s", stderr)
	}
	for platform, system := range map[string]string{"linux/amd64": "x86_64-linux", "linux/arm64": "aarch64-linux"} {
		tree := readTree(t, openImage(t, c.dist(), "crossed-web-default:1-1", platform))
		for _, file := range []string{"/app/hello", "/app/system"} {
			if got := strings.TrimSpace(tree.text(t, file)); got != system {
				t.Errorf("%s: %s has %q, expected %s", platform, file, got, system)
			}
		}
	}
}

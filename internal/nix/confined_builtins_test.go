package nix

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// No builtin that reads files copies any from outside the checkout.
func TestBuiltinsCopyNothingOfThisMachine(t *testing.T) {
	n := requireNix(t)
	for name, expression := range map[string]string{
		"fetchGit":               `fetchGit { url = "SECRET"; rev = "REV"; }`,
		"fetchGit of file:":      `fetchGit { url = "file://SECRET"; rev = "REV"; }`,
		"fetchTree of a path":    `fetchTree { type = "path"; path = "SECRET"; narHash = "` + noHash + `"; }`,
		"fetchTree of git":       `fetchTree { type = "git"; url = "file://SECRET"; rev = "REV"; }`,
		"getFlake":               `getFlake "path:SECRET?narHash=` + noHash + `"`,
		"path":                   `path { path = "SECRET"; sha256 = "` + noHash + `"; }`,
		"path, in a string":      `trace "${"x" + builtins.path { path = "SECRET"; sha256 = "` + noHash + `"; }}" 1`,
		"fetchurl":               `fetchurl { url = "file://SECRET/s"; sha256 = "` + noHash + `"; }`,
		"fetchurl, put apart":    `fetchurl { url = "fi" + "le://SECRET/s"; sha256 = "` + noHash + `"; }`,
		"fetchTarball":           `fetchTarball { url = "file://SECRET/s.tar.gz"; sha256 = "` + noHash + `"; }`,
		"readFile":               `readFile "SECRET/s"`,
		"filterSource":           `filterSource (_: _: true) "SECRET"`,
		"fetchTree, put apart":   `${"fetch" + "Tree"} { type = "path"; path = "SECRET"; narHash = "` + noHash + `"; }`,
		"getFlake, looked up":    `getAttr ("get" + "Flake") builtins "path:SECRET?narHash=` + noHash + `"`,
		"path, put apart":        `${"pa" + "th"} { path = "SECRET"; sha256 = "` + noHash + `"; }`,
		"all of builtins":        `head (map (b: b.${"pa" + "th"} { path = "SECRET"; sha256 = "` + noHash + `"; }) [ builtins ])`,
		"a file of the checkout": `${"pa" + "th"} { path = "SECRET/../checkout/cosign.key"; sha256 = "` + noHash + `"; }`,
		"fetchGit, put apart":    `${"fetch" + "Git"} { url = "file://SECRET"; rev = "REV"; }`,
	} {
		t.Run(name, func(t *testing.T) {
			dir, secret, word := strangers(t, "{ outputs = _: { }; }")
			head := exec.Command("git", "rev-parse", "HEAD")
			head.Dir = secret
			rev, err := head.Output()
			if err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("tar", "-C", filepath.Dir(secret), "-czf", filepath.Join(secret, "s.tar.gz"), "secret/s").CombinedOutput(); err != nil {
				t.Fatalf("%s", out)
			}
			text := strings.NewReplacer("SECRET", secret, "REV", strings.TrimSpace(string(rev))).Replace(expression)
			flake := fmt.Sprintf("{ outputs = _: { libre = { schema = 1; systems = [ ]; apps = { }; images = { };\n extra = builtins.%s; }; }; }", text)
			flake = strings.Replace(flake, "schema = 1;", "schema = builtins.seq (builtins."+text+") 1;", 1)
			if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte(flake), 0o600); err != nil {
				t.Fatal(err)
			}
			inRepository(t, dir)
			copiesNothing(t, n, dir, word)
		})
	}
}

// A builtin does copy local files if they are allowed. So the other tests would notice a copy.
func TestAllowedBuiltinsCopyLocalFiles(t *testing.T) {
	n := requireNix(t)
	n.AllowLocalInputs = true
	dir, secret, word := strangers(t, "{ outputs = _: { }; }")
	read := `builtins.fetchTree { type = "path"; path = "` + secret + `"; narHash = "` + noHash + `"; }`
	flake := "{ outputs = _: { libre = { schema = builtins.seq (" + read + ") 1; systems = [ ]; apps = { }; images = { }; }; }; }"
	if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte(flake), 0o600); err != nil {
		t.Fatal(err)
	}
	inRepository(t, dir)
	before := storePaths(t)
	err := opened(t, n, dir)
	if found := copied(t, before, word); len(found) == 0 {
		t.Errorf("nothing is copied: %v", err)
	}
}

// Inputs, and git's changes of the checkout for Nix, copy no local files either.
func TestInputsCopyNothingOfThisMachine(t *testing.T) {
	n := requireNix(t)
	outputs := func(read string) string {
		return `outputs = { self, ... }@all: { libre = { schema = builtins.seq (` + read + `) 1; systems = [ ]; apps = { }; images = { }; }; }; }`
	}
	for name, test := range map[string]struct{ flake, remote, attributes, message string }{
		"an input's code": {`{ inputs.x.url = "URL"; ` + outputs("all.x.read"),
			`{ outputs = _: { read = builtins.path { path = "SECRET"; sha256 = "` + noHash + `"; }; }; }`, "", "x"},
		"an input's input's": {`{ inputs.x.url = "URL"; ` + outputs("all.x.read"),
			`{ outputs = _: { read = (builtins.getFlake "path:SECRET?narHash=` + noHash + `").x; }; }`, "", "x"},
		"a text that git puts in": {`{ inputs.x.url = "$Format:%s$"; ` + outputs("all.x"), `{ outputs = _: { }; }`, "flake.nix export-subst", "path:SECRET"},
		"a lock that git leaves out": {`{ inputs.x.url = "URL"; ` + outputs("all.x"), `{ outputs = _: { }; inputs.s = { url = "path:SECRET"; flake = false; }; }`,
			"flake.lock export-ignore", "x"},
		"a list of flakes": {`{ nixConfig.flake-registry = "file://SECRET/s"; inputs.x.url = "URL"; ` + outputs(`builtins.getFlake "nixpkgs"`), `{ outputs = _: { }; }`, "", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, secret, word := strangers(t, "{ outputs = _: { }; }")
			url, hash := remoteFlake(t, strings.ReplaceAll(test.remote, "SECRET", secret))
			for file, text := range map[string]string{
				".gitattributes": test.attributes,
				"flake.nix":      strings.NewReplacer("URL", url, "SECRET", secret).Replace(test.flake),
				"flake.lock": `{"nodes":{"root":{"inputs":{"x":"x"}},"x":{"locked":{"type":"tarball","url":"` + url + `","narHash":"` + hash +
					`"},"original":{"type":"tarball","url":"` + url + `"}}},"root":"root","version":7}`,
			} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			inRepository(t, dir)
			amend := exec.Command("git", "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "--quiet", "--amend", "--message", strings.ReplaceAll(test.message, "SECRET", secret))
			amend.Dir = dir
			if out, err := amend.CombinedOutput(); err != nil {
				t.Fatalf("%s", out)
			}
			copiesNothing(t, n, dir, word)
		})
	}
}

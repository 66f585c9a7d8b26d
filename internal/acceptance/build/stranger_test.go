package build

import (
	"bytes"
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// stranger has one app for each way to read a file or a variable of this machine. SECRET is the
// path of a file, and ABOVE the path of its folder.
var stranger = map[string]string{
	// Nix, while it evaluates.
	"reads":    evil(`meta.description = builtins.readFile SECRET;`, ``),
	"climbs":   evil(`meta.description = builtins.readFile (./. + "/../../../../../../../..SECRET");`, ``),
	"lists":    evil(`meta.description = builtins.toJSON (builtins.readDir ABOVE);`, ``),
	"copies":   evil(``, `cp ${builtins.path { path = SECRET; }} $out`),
	"gets":     evil(``, `cp ${builtins.fetchurl "file://SECRET"} $out`),
	"tree":     evil(``, `cp ${builtins.fetchTree { type = "path"; path = "ABOVE"; }}/secret $out`),
	"executes": evil(`meta.description = builtins.exec [ "cat" "SECRET" ];`, ``),
	"patches":  evil(`source.path = ./.; patches = [ SECRET ];`, ``),
	"source":   `{ mkApp, ... }: mkApp { name = "NAME"; version = "1"; packageVersion = 1; source.path = ABOVE; components.web.containerfile = "secret"; }`,
	"file":     evil(`components.web.files."/x".source = SECRET;`, ``),
	"imports":  `{ pkgs, ... }@args: import (pkgs.runCommand "x.nix" { } "cp SECRET $out") args`,
	"linked":   "-> SECRET",
	"entry":    evil(``, `ln -s SECRET $out`),
	"name":     strings.Replace(evil(``, ``), `"NAME"`, `"../../x"`, 1),
	"variant":  evil(`variants."../x" = app: app;`, ``),
	"version":  strings.Replace(evil(``, ``), `"1"`, `"../../1"`, 1),
	"asks":     evil(`meta.description = "got ${builtins.getEnv "STRANGER_TOKEN"}";`, ``), // empty

	// What Nix builds.
	"builds":  evil(``, `cat SECRET > $out`),
	"chroot":  strings.Replace(evil(``, `cat SECRET > $out`), "{ }", "{ __noChroot = true; }", 1),
	"impure":  strings.Replace(evil(``, `cat SECRET > $out`), "{ }", "{ __impure = true; }", 1),
	"environ": evil(``, `env > $out`),
}

func evil(attributes, script string) string {
	if script == "" {
		script = "echo hello > $out"
	}
	return `{ mkApp, pkgs, ... }:
mkApp {
  name = "NAME"; version = "1"; packageVersion = 1; ` + attributes + `
  components.web.package = pkgs.runCommand "web" { } ''` + script + `'';
}
`
}

// strangersFiles are Containerfiles, each of a separate app, and the other attributes of their
// component.
var strangersFiles = map[string][2]string{
	"absolute":  {``, `containerfile = "SECRET";`},
	"outside":   {``, `containerfile = "../../..SECRET";`},
	"context":   {"FROM scratch\nCOPY . /\n", `context = "../..";`},
	"linkedto":  {"FROM scratch\nCOPY . /\n", `context = "out";`},
	"copyabove": {"FROM scratch\nCOPY ../../../../../../SECRET /x\n", ``},
	"copylink":  {"FROM scratch\nCOPY out/secret /x\n", ``},
	"copyroot":  {"FROM scratch\nCOPY SECRET /x\n", ``},
	"addfile":   {"FROM scratch\nADD file://SECRET /x\n", ``},
	"fromdir":   {"FROM dir:ABOVE\n", ``},
	"frompath":  {"FROM oci:ABOVE\n", ``},
	"copyfrom":  {"FROM scratch\nCOPY --from=dir:ABOVE / /\n", ``},
	"mountbind": {"FROM base\nRUN --mount=type=bind,source=/,target=/host [\"/opt/libre/bin/sh\", \"-c\", \"cat /host/SECRET\"]\n", ``},
	"mountfrom": {"FROM base\nRUN --mount=type=bind,from=ABOVE,target=/host [\"/opt/libre/bin/sh\", \"-c\", \"cat /host/secret\"]\n", ``},
	"mountsec":  {"FROM base\nRUN --mount=type=secret,id=STRANGER_TOKEN,required=true [\"/opt/libre/bin/sh\", \"-c\", \"cat /run/secrets/STRANGER_TOKEN\"]\n", ``},
	"mountssh":  {"FROM base\nRUN --mount=type=ssh,required=true [\"/opt/libre/bin/sh\", \"-c\", \"exit 0\"]\n", ``},
	"runs":      {"FROM base\nRUN [\"/opt/libre/bin/sh\", \"-c\", \"cat SECRET\"]\n", ``},
	"argument":  {"FROM base\nARG STRANGER_TOKEN\nUSER 0\nRUN [\"/opt/libre/bin/sh\", \"-c\", \"echo got $STRANGER_TOKEN > /x; env > /y\"]\n", ``}, // empty
	"config":    {"FROM scratch\nARG STRANGER_TOKEN\nENV GOT=got-${STRANGER_TOKEN}\nLABEL got=${STRANGER_TOKEN}\n", ``},                            // empty
}

// harmless are the apps that may be built, because what they read is empty.
var harmless = []string{"asks", "entry", "environ", "argument", "config"}

// A stranger's catalogue cannot get anything from this machine into an image, a message or a
// log, whatever it names. Each app that reads a file fails, and no other.
func TestStrangersCatalogueReachesNothing(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "buildah")
	above := libre.TempDir(t)
	const token = "hunter2-of-this-machine"
	writeFile(t, filepath.Join(above, "secret"), token+"\n")
	fill := strings.NewReplacer("SECRET", filepath.Join(above, "secret"), "ABOVE", above)
	files := map[string]string{"base/default.nix": strings.Replace(evil("", ""), "NAME", "base", 1)}
	for name, text := range stranger {
		files[name+"/default.nix"] = fill.Replace(strings.ReplaceAll(text, "NAME", name))
	}
	for name, both := range strangersFiles {
		attributes := both[1]
		if !strings.Contains(attributes, "containerfile") {
			attributes += ` containerfile = "Containerfile";`
		}
		if strings.HasPrefix(both[0], "FROM base") {
			attributes += ` bases.base = "base/web/debug";`
		}
		files[name+"/default.nix"] = fill.Replace(`{ mkApp, ... }: mkApp { name = "` + name + `"; version = "1"; packageVersion = 1; source.path = ./src; components.web = { ` + attributes + ` }; }`)
		files[name+"/src/Containerfile"] = fill.Replace(both[0])
		files[name+"/src/out"] = "-> " + above
	}
	c := catalogue{dir: libre.Catalogue(t, files, machine())}
	cache := libre.TempDir(t)
	c.env = append(c.env, "STRANGER_TOKEN="+token, "XDG_CACHE_HOME="+cache)
	stdout, stderr, err := testkit.Output(c.command("build", "--all"))
	if err == nil {
		t.Errorf("nothing failed:\n%s%s", stdout, stderr)
	}
	if strings.Contains(stdout+stderr, token) {
		t.Errorf("a message has the secret:\n%s%s", stdout, stderr)
	}
	for name := range files {
		app, _, _ := strings.Cut(name, "/")
		built := strings.Contains(stdout, app+"-web-default:1-1@")
		if want := app == "base" || slices.Contains(harmless, app); built != want {
			t.Errorf("%s was built: %v\n%s", app, built, stderr)
		}
	}
	for reference := range entries(t, c.dist()) {
		for path, file := range readTree(t, openImage(t, c.dist(), reference, "")) {
			if bytes.Contains(file.content, []byte(token)) {
				t.Errorf("%s of %s has the secret", path, reference)
			}
		}
	}
	holdsNowhere(t, c.dist(), token) // manifests and configurations
	holdsNowhere(t, cache, token)    // logs
}

// holdsNowhere looks for a text in all files below a folder.
func holdsNowhere(t *testing.T, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			t.Errorf("%s has the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A flake's nixConfig changes nothing, even if nix.conf accepts it. A disabled sandbox is
// reported once.
func TestStrangersSettingsChangeNothing(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"one/default.nix": strings.Replace(evil(`meta.description = "home=${builtins.getEnv "HOME"}.";`, "echo "+rand.Text()+" > $out"), "NAME", "one", 1)})
	flake := filepath.Join(c.dir, "flake.nix")
	text, err := os.ReadFile(flake)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, flake, strings.Replace(string(text), "{", "{\n  nixConfig = { pure-eval = false; sandbox = false; };", 1))
	c.env = append(c.env, "NIX_CONFIG=substitute = false\naccept-flake-config = true\nsandbox = relaxed")
	if stdout, _ := c.libre(t, "list"); !strings.Contains(stdout, "home=.") {
		t.Errorf("the evaluation was not pure: %s", stdout)
	}
	if _, stderr := c.libre(t, "build", "--all"); strings.Count(stderr, "warning: nix: sandbox = relaxed") != 1 {
		t.Errorf("the sandbox is off, and not one warning says so:\n%s", stderr)
	}
	if _, stderr := c.libre(t, "build", "--all"); strings.Contains(stderr, "warning: nix: sandbox") {
		t.Errorf("nothing was built, and a warning is about the sandbox:\n%s", stderr)
	}
}

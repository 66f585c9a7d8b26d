package nix

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
)

func define(name, more string) string {
	return "-- apps/" + name + "/default.nix --\n" + definition(name, more)
}

func definition(name, more string) string {
	return "{ mkApp, pkgs, addToSource, ... }: mkApp { name = \"" + name + "\"; version = \"1\"; packageVersion = 1;\n" + more + " }\n"
}

// inGit makes a repository of a folder. git tracks only the named files.
func inGit(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, arguments := range [][]string{{"init", "--quiet"}, append([]string{"add", "--"}, files...)} {
		if _, err := git.Output(t.Context(), dir, arguments...); err != nil {
			t.Fatal(err)
		}
	}
}

func link(t *testing.T, dir, name, target string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

const anyComponent = `components.c.package = pkgs.x;`

// An app folder may be a link to a folder of the catalogue. A link to another place fails
// alone, and so does a folder whose name is not valid for an app.
func TestLinkedApps(t *testing.T) {
	dir := writeCatalogue(t, define("plain", anyComponent)+
		"-- shared/linked/default.nix --\n"+definition("linked", `source.path = ./src; components.c.containerfile = "Dockerfile";`)+
		"-- shared/linked/src/Dockerfile --\nFROM scratch\n-- shared/nothing/README --\n-- NOTES --\n"+
		"-- hidden/default.nix --\n"+definition("hidden", anyComponent)+
		"-- outside.nix --\n"+definition("file", anyComponent)+
		define("My App", anyComponent)+define("a+(b", anyComponent)+define("Docs", anyComponent))
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "default.nix"), []byte(definition("outside", anyComponent)), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"linked": "../shared/linked", "twice": "linked", "dangling": "../gone", "outside": outside, "empty": "../shared/nothing",
		"untracked": "../hidden", "README.md": "../NOTES",
		"file/default.nix": "../../outside.nix", "gone/default.nix": "../../gone.nix",
	} {
		link(t, dir, "apps/"+name, target)
	}
	inGit(t, dir, "flake.nix", "flake.lock", "apps", "shared", "NOTES")
	evaluation, err := evaluateAll(t, dir, Nixpkgs)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range evaluation.Apps {
		names = append(names, name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "linked plain" {
		t.Errorf("apps %s", got)
	}
	if at := evaluation.Apps["linked"].Positions["version"]; at == nil || !strings.HasSuffix(at.File, "linked/default.nix") {
		t.Errorf("its version is at %+v", at)
	}
	const leads = " is a link, but its target has no default.nix in the catalogue"
	for name, want := range map[string]string{
		"dangling": "apps/dangling" + leads, "outside": "apps/outside" + leads, "empty": "apps/empty" + leads,
		"untracked": "apps/untracked" + leads,
		"file":      "apps/file/default.nix is a link, but its target is not in the catalogue", "gone": "apps/gone/default.nix is a link, but its target is not in the catalogue",
		"twice":  `apps/twice: name is "linked", expected the folder's name`,
		"My App": `apps/"My App": expected a folder name of lower-case letters`, "a+(b": `apps/"a+(b": expected a folder name`,
		"Docs": `apps/"Docs": expected a folder name`,
	} {
		if got := evaluation.Failures[name]; got == nil || !strings.Contains(got.Error(), want) || strings.Contains(got.Error(), "\n") {
			t.Errorf("%s: %v, expected %q", name, got, want)
		}
	}
	if len(evaluation.Failures) != 10 {
		t.Errorf("failures %v", evaluation.Failures)
	}
}

// Files that look like an app, but are not one, are reported.
func TestIgnoredFiles(t *testing.T) {
	dir := writeCatalogue(t, define("one", anyComponent)+define("new", anyComponent)+define("ignored", anyComponent)+
		"-- apps/one/a.patch --\n-- apps/one/vex.yaml --\n-- apps/one/b/c --\n-- apps/one/b/vex.yaml --\n-- apps/one/default.nix~ --\n-- apps/one/kept.key --\n-- apps/lib/x.nix --\n-- apps/_lib/x.nix --\n"+
		"-- apps/two.nix --\n-- apps/_two.nix --\n-- apps/README.md --\n-- .gitignore --\n*.key\n/apps/ignored\n"+define("sub", anyComponent))
	inGit(t, filepath.Join(dir, "apps/sub"), ".")
	if _, err := git.Output(t.Context(), filepath.Join(dir, "apps/sub"), "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x"); err != nil {
		t.Fatal(err)
	}
	inGit(t, dir, "flake.nix", "apps/one/default.nix", "apps/lib", "apps/_lib", "apps/two.nix", "apps/_two.nix", "apps/README.md", "apps/sub")
	want := []string{
		"git does not track apps/new, so libre ignores it; git add apps/new",
		"git does not track apps/one/a.patch, so Nix does not see it; git add apps/one/a.patch",
		"git does not track apps/one/b/c, so Nix does not see it; git add apps/one/b/c",
		"git does not track apps/one/b/vex.yaml, so Nix does not see it; git add apps/one/b/vex.yaml",
		"apps/sub is a git submodule, which Nix does not see, so libre ignores it: add its files to this repository",
		"apps/lib has no default.nix, so it is not an app: write apps/lib/default.nix, or rename it to apps/_lib",
		"apps/two.nix is a file, so it is not an app: move it to apps/two/default.nix, or rename it to apps/_two.nix",
	}
	if got := IgnoredFiles(t.Context(), dir); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i := range 10 {
		if err := os.WriteFile(filepath.Join(dir, "apps/one", string(rune('d'+i))), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.Join(IgnoredFiles(t.Context(), dir), "\n")
	if !strings.Contains(got, "git does not track 10 more files of apps") || strings.Contains(got, "apps/one/e,") {
		t.Errorf("got\n%s", got)
	}
	if got := IgnoredFiles(t.Context(), writeCatalogue(t, define("one", anyComponent))); len(got) > 0 {
		t.Errorf("without a repository: %s", got)
	}
}

// If a definition names a file that Nix does not see, the fix is git add, wherever the file is
// named.
func TestUntrackedFilesAreExplained(t *testing.T) {
	apps := map[string]struct{ more, extra, want, fix string }{
		"patch": {`source.path = ./src; patches = [ ./fix.patch ]; components.c.containerfile = "D";`, "-- apps/patch/fix.patch --\n",
			"refers to apps/patch/fix.patch, which git does not track", "git add apps/patch/fix.patch"},
		"folder":  {`source.path = ./code; components.c.containerfile = "D";`, "-- apps/folder/code/D --\nFROM scratch\n", "refers to apps/folder/code, which", "git add apps/folder/code"},
		"context": {`source.path = ./src; components.c = { containerfile = "D"; contexts.x = ./more; };`, "-- apps/context/more/x --\n", "refers to apps/context/more, which", "git add apps/context/more"},
		"file": {`components.c = { package = pkgs.writeText "x" ""; files."/etc/x".source = ./x.conf; };`, "-- apps/file/x.conf --\n",
			"refers to apps/file/x.conf, which", "git add apps/file/x.conf"},
		"import":  {`meta.description = import ./about.nix; ` + anyComponent, "-- apps/import/about.nix --\n", "refers to apps/import/about.nix, which", "git add apps/import/about.nix"},
		"read":    {`meta.description = builtins.readFile ./about; ` + anyComponent, "-- apps/read/about --\n", "refers to apps/read/about, which", "git add apps/read/about"},
		"added":   {`source.path = ./src; components.c.containerfile = "D"; variants.lyon = app: addToSource app { "l" = ./logo.svg; };`, "-- apps/added/logo.svg --\n", "refers to apps/added/logo.svg, which", "git add apps/added/logo.svg"},
		"ignored": {`source.path = ./src; patches = [ ./x.key ]; components.c.containerfile = "D";`, "-- apps/ignored/x.key --\n", "refers to apps/ignored/x.key, which", "git add --force apps/ignored/x.key"},
		"shared":  {`source.path = ../../shared; components.c.containerfile = "D";`, "", "refers to shared, which", "git add shared"},
		"quoted": {`source.path = ./src; patches = [ (./. + "/it's.patch") ]; components.c.containerfile = "D";`, "-- apps/quoted/it's.patch --\n",
			"refers to apps/quoted/it's.patch, which", `git add 'apps/quoted/it'\''s.patch'`},
		"gone": {`source.path = ./src; patches = [ ./gone.patch ]; components.c.containerfile = "D";`, "", "refers to apps/gone/gone.patch, which does not exist", ""},
		"fine": {`source.path = ./src; components.c.containerfile = "D";`, "", "", ""},
	}
	archive := "-- .gitignore --\n*.key\n-- shared/D --\n"
	tracked := []string{"flake.nix", "flake.lock", ".gitignore"}
	for name, app := range apps {
		archive += define(name, app.more) + "-- apps/" + name + "/src/D --\nFROM scratch\n" + app.extra
		tracked = append(tracked, "apps/"+name+"/default.nix", "apps/"+name+"/src")
	}
	for _, below := range []string{"", "sub/catalogue"} { // the repository's folder, and a folder in it
		dir := writeCatalogue(t, archive)
		if below == "" {
			inGit(t, dir, tracked...)
		} else {
			top := t.TempDir()
			if err := os.MkdirAll(filepath.Join(top, filepath.Dir(below)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(dir, filepath.Join(top, below)); err != nil {
				t.Fatal(err)
			}
			dir = filepath.Join(top, below)
			inGit(t, top)
			if _, err := git.Output(t.Context(), dir, append([]string{"add", "--"}, tracked...)...); err != nil {
				t.Fatal(err)
			}
			apps = map[string]struct{ more, extra, want, fix string }{"patch": apps["patch"], "shared": apps["shared"], "gone": apps["gone"], "fine": apps["fine"]}
		}
		n := requireNix(t)
		catalogue, err := n.OpenCatalogue(t.Context(), dir, HostPackageName)
		if err != nil {
			t.Fatal(err)
		}
		var patterns []catalog.Pattern
		for name := range apps {
			patterns = append(patterns, catalog.Pattern{App: name, Component: "*", Variant: "*"})
		}
		evaluation, err := catalogue.Evaluate(t.Context(), Request{Patterns: patterns, Systems: []string{"x86_64-linux"}, KeysOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		for name, app := range apps {
			got := evaluation.Failures[name]
			if app.want == "" && got != nil || app.want != "" && (got == nil || !strings.Contains(strings.ReplaceAll(got.Error(), "sub/catalogue/", ""), app.want)) {
				t.Errorf("%s in %q: %v, expected %q", name, below, got, app.want)
			}
			if fix := strings.ReplaceAll(fault.Fix(got), "sub/catalogue/", ""); !strings.HasSuffix(fix, app.fix) || app.fix == "" && fix != "" {
				t.Errorf("%s in %q: fix %q, expected %q", name, below, fix, app.fix)
			}
		}
	}
}

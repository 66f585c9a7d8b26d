package bump

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// themed are four apps. One uses the content of the input theme, and one is built on another
// component of that app.
var themed = map[string]string{
	"themed/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "themed";
  version = "1.0";
  packageVersion = 9; # raised by hand
  components.web.package = pkgs.runCommand "web" { colour = builtins.readFile "${pkgs.theme}/colour"; } "echo $colour >$out";
  components.tool.package = pkgs.writeText "tool" "a tool";
}
`,
	"chained/default.nix": `{ mkApp, ... }:
mkApp {
  name = "chained"; version = "2.0"; packageVersion = 1;
  source.path = ./src;
  components.web = { containerfile = "Containerfile"; bases.tool = "themed/tool"; };
}
`,
	"chained/src/Containerfile": "FROM tool\n",
	"plain/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "plain"; version = "9"; packageVersion = 9;
  components.web.package = pkgs.writeText "plain" "plain";
}
`,
}

// withInput returns a catalogue with the input theme, a git repository that is not locked
// yet. GitHub cannot be reached.
func withInput(t *testing.T) (c, theme catalogue) {
	t.Helper()
	c = catalogue{dir: libre.Catalogue(t, themed, "x86_64-linux"), flags: []string{"--allow-local-inputs"}}
	theme = catalogue{dir: libre.TempDir(t)}
	theme.git(t, "init", "--quiet")
	theme.write(t, "colour", "blue")
	theme.git(t, "add", ".")
	theme.git(t, "commit", "--quiet", "-m", "Blue")
	flake := strings.Replace(c.read(t, "flake.nix"), "  outputs = { libre, nixpkgs, ... }: libre.lib.mkCatalogue {\n    inherit nixpkgs;\n", `  inputs.theme = { url = "git+file://`+theme.dir+`"; flake = false; };

  outputs = { libre, nixpkgs, theme, ... }: libre.lib.mkCatalogue {
    nixpkgs.legacyPackages = builtins.mapAttrs (_: pkgs: pkgs // { inherit theme; }) nixpkgs.legacyPackages;
`, 1)
	c.write(t, "flake.nix", flake)
	c.env = []string{"https_proxy=http://127.0.0.1:1", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org"}
	return c, theme
}

func (c catalogue) commit(t *testing.T, message string) {
	t.Helper()
	c.git(t, "commit", "--quiet", "--all", "-m", message)
}

// files returns all files that git tracks.
func (c catalogue) files(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range strings.Fields(c.git(t, "ls-files")) {
		files[name] = c.read(t, name)
	}
	return files
}

// failure returns the one line with which a run failed: the end of its notes.
func (o outcome) failure() string {
	before, line, _ := strings.Cut(o.stderr, "error: ")
	if strings.Count(line, "\n") != 1 || before != "" && !strings.HasSuffix(before, "\n") {
		return "no single line: " + o.stderr
	}
	return line
}

// difference returns the output of git diff, without headers.
func (c catalogue) difference(t *testing.T, args ...string) string {
	t.Helper()
	var changed string
	for line := range strings.Lines(c.git(t, append([]string{"diff", "--unified=0"}, args...)...)) {
		if strings.HasPrefix(line, "+") || strings.HasPrefix(line, "-") {
			changed += line
		}
	}
	return changed
}

// When an input moves, the lock file changes, and only apps whose images change get a new
// package version.
func TestAppsWithOtherImagesGetAPackageVersion(t *testing.T) {
	c, theme := withInput(t)
	locked := c.run(t, 0, "bump", "--inputs")
	blue := strings.TrimSpace(theme.git(t, "rev-parse", "HEAD"))
	if !strings.Contains(locked.stderr, "input theme: none → "+blue) || locked.stdout != "" {
		t.Errorf("an input that was not locked:\n%s%s", locked.stdout, locked.stderr)
	}
	if lock := c.read(t, "flake.lock"); strings.Contains(lock, `"libre"`) {
		t.Errorf("libre is locked to what replaces it:\n%s", lock)
	}
	c.commit(t, "A catalogue")

	before := c.files(t)
	same := c.run(t, 0, "bump", "--inputs")
	for _, want := range []string{"input nixpkgs is skipped", "all inputs are up to date"} {
		if !strings.Contains(same.stderr, want) {
			t.Errorf("nothing is newer, and it does not say %q:\n%s", want, same.stderr)
		}
	}
	if diff := cmp.Diff(before, c.files(t)); diff != "" || same.stdout != "" {
		t.Errorf("nothing is newer:\n%s%s", same.stdout, diff)
	}
	for _, test := range []struct {
		what, want string
		args       []string
	}{
		{"an unknown input", "flake.lock has no input sheme, it has: nixpkgs, theme", []string{"--input", "sheme"}},
		{"an unreachable input", "updating the input nixpkgs: unable to download", []string{"--input", "nixpkgs"}},
	} {
		got := c.run(t, 1, append([]string{"bump"}, test.args...)...)
		if !strings.HasPrefix(got.failure(), test.want) {
			t.Errorf("%s:\n%s", test.what, got.stderr)
		}
		if diff := cmp.Diff(before, c.files(t)); diff != "" {
			t.Errorf("%s: %s", test.what, diff)
		}
	}

	theme.write(t, "colour", "red")
	theme.commit(t, "Red")
	red := strings.TrimSpace(theme.git(t, "rev-parse", "HEAD"))
	dry := c.run(t, 0, "bump", "--inputs", "--dry-run")
	if diff := cmp.Diff(before, c.files(t)); diff != "" {
		t.Errorf("--dry-run: %s", diff)
	}
	got := c.run(t, 0, "bump", "--inputs")
	if got.stdout != "chained\t2.0-1\t2.0-2\trepacked\nthemed\t1.0-9\t1.0-10\trepacked\n" ||
		!strings.Contains(got.stderr, "input theme: "+blue+" → "+red) {
		t.Errorf("bump --inputs:\n%s%s", got.stdout, got.stderr)
	}
	changed := map[string]string{}
	for file, text := range c.files(t) {
		if text != before[file] {
			changed[file] = c.difference(t, "--", file)
		}
	}
	lock := changed["flake.lock"]
	delete(changed, "flake.lock")
	for _, attribute := range []string{"lastModified", "narHash", `rev"`, "revCount"} {
		lock = regexp.MustCompile(`(?m)^[+-] +"`+attribute+`.*\n`).ReplaceAllString(lock, "")
	}
	if want := "--- a/flake.lock\n+++ b/flake.lock\n"; lock != want {
		t.Errorf("flake.lock, but for the input's revision:\n%s", lock)
	}
	want := map[string]string{}
	for file, lines := range map[string]string{
		"apps/themed/default.nix":  "-  packageVersion = 9; # raised by hand\n+  packageVersion = 10; # raised by hand\n",
		"apps/chained/default.nix": `-  name = "chained"; version = "2.0"; packageVersion = 1;` + "\n" + `+  name = "chained"; version = "2.0"; packageVersion = 2;` + "\n",
	} {
		want[file] = "--- a/" + file + "\n+++ b/" + file + "\n" + lines
	}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("what changed (-want +got):\n%s", diff)
	}
	c.git(t, "stash", "--quiet")
	patch := filepath.Join(t.TempDir(), "patch")
	if err := os.WriteFile(patch, []byte(dry.stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	c.git(t, "apply", patch)
	if diff := c.git(t, "diff", "stash@{0}"); diff != "" {
		t.Errorf("--dry-run printed another change:\n%s", diff)
	}

	// Again, with a commit, for one input.
	c.commit(t, "Red")
	theme.write(t, "colour", "green")
	theme.commit(t, "Green")
	c.write(t, "README.md", "work in progress\n")
	c.run(t, 0, "bump", "--input", "theme", "--commit")
	log := c.git(t, "log", "-1", "--format=%s", "--name-only")
	if log != "Update inputs\n\napps/chained/default.nix\napps/themed/default.nix\nflake.lock\n" {
		t.Errorf("--commit:\n%s", log)
	}
	if left := c.git(t, "status", "--porcelain"); left != "?? README.md\n" {
		t.Errorf("--commit left: %s", left)
	}

	// The repository does not exist any more.
	before = c.files(t)
	if err := os.Rename(theme.dir, theme.dir+".gone"); err != nil {
		t.Fatal(err)
	}
	gone := c.run(t, 1, "bump", "--inputs")
	if !strings.HasPrefix(gone.failure(), "updating the input theme: '"+theme.dir+"' does not appear to be a git repository") {
		t.Errorf("a repository that is gone:\n%s", gone.stderr)
	}
	if diff := cmp.Diff(before, c.files(t)); diff != "" {
		t.Errorf("a repository that is gone: %s", diff)
	}
}

// An app that could not be evaluated before is ignored. If an app can no longer be
// evaluated with the new inputs, nothing changes.
func TestInputsThatBreakAnAppAreNotTaken(t *testing.T) {
	c, theme := withInput(t)
	c.run(t, 0, "bump", "--inputs")
	plain := c.read(t, "apps/plain/default.nix")
	c.write(t, "apps/plain/default.nix", strings.Replace(plain, `"9"`, "9", 1))
	c.commit(t, "Broken")
	theme.write(t, "colour", "red")
	theme.commit(t, "Red")
	got := c.run(t, 0, "bump", "--inputs")
	if got.stdout != "chained\t2.0-1\t2.0-2\trepacked\nthemed\t1.0-9\t1.0-10\trepacked\n" ||
		!strings.Contains(got.stderr, "apps/plain is skipped, it does not evaluate: apps/plain/default.nix:3:19: plain: version is 9") {
		t.Errorf("beside a broken app:\n%s%s", got.stdout, got.stderr)
	}
	c.write(t, "apps/plain/default.nix", plain)
	c.commit(t, "Mended")
	theme.git(t, "rm", "--quiet", "colour")
	theme.commit(t, "No colour")
	before := c.files(t)
	broken := c.run(t, 1, "bump", "--inputs")
	if !strings.HasPrefix(broken.failure(), "apps/themed does not evaluate with the updates: ") {
		t.Errorf("an input that breaks an app:\n%s", broken.stderr)
	}
	if diff := cmp.Diff(before, c.files(t)); diff != "" {
		t.Errorf("an input that breaks an app: %s", diff)
	}
}

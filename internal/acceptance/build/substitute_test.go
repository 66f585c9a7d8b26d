package build

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// substituters returns Nix settings that use a binary cache in a folder.
func substituters(cache string) string {
	return "substitute = true\nrequire-sigs = false\nsubstituters = file://" + cache
}

// cached builds a catalogue whose package set has the shape of nixpkgs, on one machine. It
// returns a binary cache with everything that the machine has then, and the references of
// the images.
func cached(t *testing.T, c catalogue) (cache string, references []string) {
	t.Helper()
	first := newMachine(t)
	stdout, stderr, code := first.run(t, c, "substitute = false", "build", "--all")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	if !strings.Contains(stderr, "derivations to build belong to the package set") || !strings.Contains(stderr, "--package-set host") {
		t.Errorf("that the package set itself is built is not said:\n%s", stderr)
	}
	if at, end := strings.Index(stderr, "belong to the package set"), strings.Index(stderr, "nix: done"); at > end {
		t.Errorf("it is said after the build:\n%s", stderr)
	}
	var paths []string
	for _, path := range strings.Fields(first.tool(t, "sh", "-c", "ls -d /nix/store/*")) {
		if !strings.HasSuffix(path, ".drv") && !strings.HasSuffix(path, "-source") && !strings.HasSuffix(path, ".lock") && path != "/nix/store/.links" {
			paths = append(paths, path)
		}
	}
	cache = libre.TempDir(t)
	first.tool(t, "nix", append([]string{"--extra-experimental-features", "nix-command", "copy", "--to", "file://" + cache}, paths...)...)
	if err := os.RemoveAll(c.dist()); err != nil {
		t.Fatal(err)
	}
	return cache, referencesOf(stdout)
}

// referencesOf returns the first column of the output of build.
func referencesOf(stdout string) []string {
	var references []string
	for line := range strings.Lines(stdout) {
		reference, _, _ := strings.Cut(line, "\t")
		references = append(references, reference)
	}
	slices.Sort(references)
	return references
}

var fetching = regexp.MustCompile(`nix: fetching (\d+) paths, [0-9.]+ (?:[KM]iB|B)(?:; building (\d+) derivations?)?\n`)

// The catalogue has a multi-output package of which an image needs some outputs, one that
// is referenced by strings only, and one with structured attributes. With a complete binary
// cache nothing is built, and the output says so. With half of it the rest is built.
func TestOnlyWhatTheBinaryCacheLacksIsBuilt(t *testing.T) {
	t.Parallel()
	c := shaped(t, apps(
		app("multi", `package = pkgs.multi; entrypoint = [ "bin/multi" ];`),
		app("text", `package = pkgs.runCommand "text" { } "mkdir $out; echo ${pkgs.data}/share > $out/text";`),
		app("structured", `package = pkgs.structured;`),
	))
	cache, want := cached(t, c)

	t.Run("with everything", func(t *testing.T) {
		stdout, stderr, code := newMachine(t).run(t, c, substituters(cache), "build", "--all")
		if got := referencesOf(stdout); code != 0 || !slices.Equal(got, want) {
			t.Fatalf("exit code %d, %q, expected %q\n%s", code, got, want, stderr)
		}
		if found := fetching.FindStringSubmatch(stderr); found == nil || found[2] != "" {
			t.Errorf("what is fetched is not said, or something is said to be built:\n%s", stderr)
		}
		if strings.Contains(stderr, "building ") || strings.Contains(stderr, "belong to the package set") {
			t.Errorf("everything is substituted, and something is said to be built:\n%s", stderr)
		}
		os.RemoveAll(c.dist())
	})
	t.Run("with half", func(t *testing.T) {
		half := libre.TempDir(t)
		libre.Tool(t, "cp", "-r", cache+"/.", half)
		forget(t, half, "-web-root", "-text", "libre-debug-tools")
		stdout, stderr, code := newMachine(t).run(t, c, substituters(half), "build", "--all")
		if got := referencesOf(stdout); code != 0 || !slices.Equal(got, want) {
			t.Fatalf("exit code %d, %q, expected %q\n%s", code, got, want, stderr)
		}
		// three root file systems, one package, the tools
		if found := fetching.FindStringSubmatch(stderr); found == nil || found[2] != "5" {
			t.Errorf("expected that some is fetched and five are built:\n%s", stderr)
		}
		if !strings.Contains(stderr, "multi/web/default: building 1 derivation\n") || !strings.Contains(stderr, "text/web/default: building 2 derivations\n") {
			t.Errorf("expected one and two derivations of the images' own:\n%s", stderr)
		}
		if strings.Contains(stderr, "belong to the package set") {
			t.Errorf("the package set is said to be built:\n%s", stderr)
		}
		os.RemoveAll(c.dist())
	})
	t.Run("that lost what it names", func(t *testing.T) {
		broken := libre.TempDir(t)
		libre.Tool(t, "cp", "-r", cache+"/.", broken)
		libre.Tool(t, "rm", "-r", filepath.Join(broken, "nar"))
		stdout, stderr, code := newMachine(t).run(t, c, substituters(broken), "build", "--all")
		if got := referencesOf(stdout); code != 0 || !slices.Equal(got, want) {
			t.Fatalf("exit code %d, %q, expected %q\n%s", code, got, want, stderr)
		}
		if !regexp.MustCompile(`nix: done in .*built [1-9][0-9]+ derivations`).MatchString(stderr) {
			t.Errorf("what was built after all is not said:\n%s", stderr)
		}
		os.RemoveAll(c.dist())
	})
	t.Run("that is damaged", func(t *testing.T) {
		damaged := libre.TempDir(t)
		libre.Tool(t, "cp", "-r", cache+"/.", damaged)
		libre.Tool(t, "sh", "-c", "truncate --size 50 $1/nar/*", "sh", damaged)
		_, stderr, code := newMachine(t).run(t, c, substituters(damaged), "build", "--all")
		if code != 3 || !strings.Contains(stderr, "fallback = true") || strings.Contains(stderr, "gave no reason") {
			t.Errorf("exit code %d\n%s", code, stderr)
		}
		os.RemoveAll(c.dist())
	})
	t.Run("whose signature nobody knows", func(t *testing.T) {
		config := strings.Replace(substituters(cache), "require-sigs = false", "require-sigs = true", 1)
		stdout, stderr, code := newMachine(t).run(t, c, config, "build", "multi")
		if code != 0 || strings.Count(stderr, "does not deliver what it lists") != 1 {
			t.Errorf("exit code %d, %s\n%s", code, stdout, stderr)
		}
		if count := strings.Count(stderr, "warning: nix: "); count != 1 {
			t.Errorf("%d warnings of nix, expected one for all paths:\n%s", count, stderr)
		}
		os.RemoveAll(c.dist())
	})
}

// forget removes store paths from a binary cache, by the ends of their names.
func forget(t *testing.T, cache string, names ...string) {
	t.Helper()
	infos, err := filepath.Glob(filepath.Join(cache, "*.narinfo"))
	if err != nil || len(infos) == 0 {
		t.Fatal(fmt.Errorf("%s has no store paths: %w", cache, err))
	}
	forgotten := 0
	for _, info := range infos {
		content, err := os.ReadFile(info)
		if err != nil {
			t.Fatal(err)
		}
		path, _, _ := strings.Cut(string(content), "\n")
		if slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(path, name) }) {
			forgotten++
			if err := os.Remove(info); err != nil {
				t.Fatal(err)
			}
		}
	}
	if forgotten < len(names) {
		t.Fatalf("only %d paths had one of the names %q", forgotten, names)
	}
}

package bump

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// A person edits the source of an app for all variants, however it is fetched. The edit is
// after the app's other patches, and before a variant's changes. The package version rises if a
// release with the former source is published.
func TestSourcesAreEdited(t *testing.T) {
	for kind, prepare := range map[string]func(c *catalogue, repo *forgetest.Repo){
		"an archive of a forge": func(*catalogue, *forgetest.Repo) {},
		"a repository": func(c *catalogue, repo *forgetest.Repo) {
			c.flags = []string{"--allow-local-inputs"}
			c.fetchByGit(t, repo, repo.Commit(upstreamFiles("1.0.0")))
		},
	} {
		t.Run(kind, func(t *testing.T) {
			c, repo := suite(t, forgetest.GitHub(t))
			prepare(&c, repo)
			c = c.publishes(t)
			folder := filepath.Join(t.TempDir(), "notes")
			if got := c.run(t, 1, "edit", "notes", folder); !strings.Contains(got.stderr, "; libre hash notes writes the right one\n") || strings.Count(got.stderr, "error:") != 1 {
				t.Errorf("a wrong hash:\n%s", got.stderr)
			}
			if _, err := os.Stat(folder); err == nil {
				t.Error("there is a folder of nothing")
			}
			c.run(t, 0, "hash", "notes")
			c.run(t, 0, "edit", "notes", folder)
			change := func(file, from, to, version string) {
				t.Helper()
				path := filepath.Join(folder, file)
				text, err := os.ReadFile(path)
				if err != nil || !strings.Contains(string(text), from) {
					t.Fatalf("%s: %v\n%s", file, err, text)
				}
				if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
					t.Fatal(err)
				}
				got := c.run(t, 0, "edit", "--save", folder)
				if !strings.HasSuffix(got.stdout, "apps/notes/patches/changes.patch\n") || !strings.Contains(c.read(t, "apps/notes/default.nix"), "packageVersion = "+version+";") {
					t.Errorf("want the package version %s:\n%s%s", version, got.stdout, c.read(t, "apps/notes/default.nix"))
				}
			}
			change("page.txt", "bonjour", "salut", "3") // greeting.patch is applied before
			if definition := c.read(t, "apps/notes/default.nix"); !strings.Contains(definition, "patches = [ ./greeting.patch { file = ./patches/changes.patch; } ];") {
				t.Errorf("the definition:\n%s", definition)
			}
			c.run(t, 0, "build", "notes/web/*")
			for _, variant := range []string{"default", "lyon"} {
				if page := fileOf(t, c, "notes-web-"+variant+":1.0.0-3", "site/page.txt"); !strings.Contains(page, "\nsalut\n") {
					t.Errorf("%s: %q", variant, page)
				}
			}
			c.run(t, 0, "push", "notes")
			change("page.txt", "salut", "coucou", "4")
			change("page.txt", "coucou", "allô", "4")
			c.run(t, 0, "push", "notes")
			if page := fileOf(t, c, "notes-web-lyon:1.0.0-4", "site/page.txt"); !strings.Contains(page, "\nallô\n") {
				t.Errorf("the next release: %q", page)
			}
		})
	}
}

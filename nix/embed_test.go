package nixcode

import (
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The directive go:embed leaves out folders with a go.mod, and links, without a word.
func TestEmbedsAllThatGitTracks(t *testing.T) {
	out, err := exec.Command("git", "ls-files", "-z", "--", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	var tracked, embedded []string
	for _, name := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		// This package itself is the one thing at the top that is not Nix code.
		if strings.Contains(name, "/") || !strings.HasSuffix(name, ".go") {
			tracked = append(tracked, name)
		}
	}
	err = fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			embedded = append(embedded, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tracked)
	slices.Sort(embedded)
	if len(tracked) < 20 || !slices.Equal(tracked, embedded) {
		t.Errorf("git tracks\n%s\nthe program carries\n%s", strings.Join(tracked, "\n"), strings.Join(embedded, "\n"))
	}
}

// The flake that stands in for the input libre has the top-level files alone, and what
// they read: an edit of the template must not move it.
func TestLibraryHasNoFolders(t *testing.T) {
	err := fs.WalkDir(Library(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != "." && path != "describe" {
			t.Errorf("folder %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(Library(), "flake.nix"); err != nil {
		t.Error(err)
	}
}

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// What is in a folder, so that nothing is left behind.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteReplacesAFileAndNotWhatALinkLeadsTo(t *testing.T) {
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "file")
	check(t, os.WriteFile(victim, []byte("mine"), 0o600))
	check(t, os.Symlink(victim, path))
	check(t, Write(path, []byte("new"), 0o640))
	content, err := os.ReadFile(path)
	check(t, err)
	info, err := os.Lstat(path)
	check(t, err)
	kept, err := os.ReadFile(victim)
	check(t, err)
	if string(content) != "new" || info.Mode() != 0o640 || string(kept) != "mine" || len(names(t, dir)) != 2 {
		t.Errorf("%q with mode %v beside %q, in %v", content, info.Mode(), kept, names(t, dir))
	}
}

func TestWhatFailsLeavesTheFormerFileAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	check(t, Write(path, []byte("old"), 0o600))
	f, err := Create(dir, 0o600)
	check(t, err)
	if _, err := f.WriteString("half"); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	check(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	check(t, os.WriteFile(filepath.Join(dir, "folder", "x"), nil, 0o600))
	if err := Write(filepath.Join(dir, "folder"), []byte("new"), 0o600); err == nil {
		t.Error("a folder was replaced")
	}
	content, err := os.ReadFile(path)
	check(t, err)
	if string(content) != "old" || len(names(t, dir)) != 2 {
		t.Errorf("%q, in %v", content, names(t, dir))
	}
}

func TestLinkReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for n, want := range []error{nil, fs.ErrExist} {
		f, err := Create(dir, 0o600)
		check(t, err)
		if err := f.Link(path); !errors.Is(err, want) {
			t.Errorf("time %d: %v, want %v", n, err, want)
		}
		f.Discard()
	}
	if len(names(t, dir)) != 1 {
		t.Errorf("left: %v", names(t, dir))
	}
}

func TestAFolderThatCannotBeWrittenIsNamed(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, folder := range []string{"absent", "absent/below", "file", "file/below"} {
		folder = filepath.Join(dir, folder)
		var wrong *fs.PathError
		if err := Write(filepath.Join(folder, "new"), nil, 0o600); !errors.As(err, &wrong) || wrong.Path != folder {
			t.Errorf("%v, expected an error about %s", err, folder)
		}
	}
}

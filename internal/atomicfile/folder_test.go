package atomicfile

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const list = ".list"

// tree reads all files of a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(content)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func write(t *testing.T, dir string, files map[string]string) error {
	t.Helper()
	f, err := OpenFolder(dir, list)
	if err != nil {
		return err
	}
	defer f.Discard()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := f.Write(name, []byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	return f.Replace()
}

func has(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := tree(t, dir)
	delete(got, list)
	if !maps.Equal(got, want) {
		t.Errorf("the folder has %q, want %q", got, want)
	}
}

// What is no longer written is removed, with its folders; what others put there stays.
func TestFolderKeepsWhatOthersWrote(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "site")
	if err := write(t, dir, map[string]string{"index": "1", "old/deep/page": "1", "kept/page": "1"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kept", "CNAME"), []byte("theirs"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(t, dir, map[string]string{"index": "2", "new/page": "2"}); err != nil {
		t.Fatal(err)
	}
	has(t, dir, map[string]string{"index": "2", "new/page": "2", "kept/CNAME": "theirs"})
	if _, err := os.Stat(filepath.Join(dir, "old")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder stays: %v", err)
	}
	if err := write(t, dir, map[string]string{"index": "3", "kept/CNAME": "mine"}); !errors.Is(err, ErrForeign) {
		t.Errorf("somebody else's file is replaced: %v", err)
	}
	has(t, dir, map[string]string{"index": "2", "new/page": "2", "kept/CNAME": "theirs"})
}

func TestFolderOfOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(t, dir, map[string]string{"index": "1"}); !errors.Is(err, ErrForeign) {
		t.Errorf("the error is %v", err)
	}
	has(t, dir, map[string]string{"thesis": ""})
}

// A run that ends early leaves all as it was, and a killed one nothing for long.
func TestFolderThatIsDiscardedIsAsBefore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	fail := func() *Folder {
		f, err := OpenFolder(dir, list)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Write("index", []byte("new")); err != nil {
			t.Fatal(err)
		}
		return f
	}
	fail().Discard()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder is left: %v", err)
	}
	if err := write(t, dir, map[string]string{"index": "1"}); err != nil {
		t.Fatal(err)
	}
	fail().Discard()
	has(t, dir, map[string]string{"index": "1"})
	fail() // it is killed
	if err := write(t, dir, map[string]string{"index": "2"}); err != nil {
		t.Fatal(err)
	}
	has(t, dir, map[string]string{"index": "2"})
}

// A list that somebody else wrote names no file elsewhere.
func TestFolderRemovesNothingElsewhere(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "site")
	precious := filepath.Join(above, "precious")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(precious, nil, 0o644), os.Symlink(above, filepath.Join(dir, "link")),
		os.WriteFile(filepath.Join(dir, list), []byte("../precious\n"+precious+"\nlink/precious\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	_ = write(t, dir, map[string]string{"index": "1"})
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

package private

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFolderIsPrivate(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere")
	must(t, os.Mkdir(elsewhere, 0o755))
	for name, prepare := range map[string]func(path string) error{
		"nothing":        func(string) error { return nil },
		"open to others": func(path string) error { must(t, os.Mkdir(path, 0o755)); return os.Chmod(path, 0o777) },
		"readable":       func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		path := filepath.Join(dir, name, "logs")
		must(t, os.Mkdir(filepath.Dir(path), 0o755))
		must(t, prepare(path))
		must(t, Folder(path))
		if info, err := os.Lstat(path); err != nil || info.Mode() != os.ModeDir|0o700 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	refused := map[string]func(path string) error{
		"a link":            func(path string) error { return os.Symlink(elsewhere, path) },
		"a link to nothing": func(path string) error { return os.Symlink(filepath.Join(dir, "nothing yet"), path) },
		"a file":            func(path string) error { return os.WriteFile(path, nil, 0o600) },
	}
	if os.Geteuid() == 0 {
		refused["another user's"] = func(path string) error { must(t, os.Mkdir(path, 0o777)); return os.Chown(path, 65534, 65534) }
	}
	for name, prepare := range refused {
		path := filepath.Join(dir, name)
		must(t, prepare(path))
		if Folder(path) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if info, err := os.Stat(elsewhere); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("a link was followed: %v, %v", info.Mode(), err)
	}
}

func TestCreateFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	canary := filepath.Join(dir, "canary")
	must(t, os.WriteFile(canary, []byte("canary"), 0o644))
	for name, prepare := range map[string]func(path string) error{
		"a link":            func(path string) error { return os.Symlink(canary, path) },
		"another name":      func(path string) error { return os.Link(canary, path) },
		"a link to nothing": func(path string) error { return os.Symlink(filepath.Join(dir, "nothing"), path) },
		"a readable file":   func(path string) error { return os.WriteFile(path, []byte("old"), 0o644) },
	} {
		path := filepath.Join(dir, name)
		must(t, prepare(path))
		file, err := Create(path)
		must(t, err)
		_, err = file.WriteString("log")
		must(t, err)
		must(t, file.Close())
		if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if text, err := os.ReadFile(canary); err != nil || string(text) != "canary" {
		t.Errorf("written through: %q, %v", text, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

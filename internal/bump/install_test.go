package bump

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A new file comes with the edit of another one, or not at all.
func TestInstallOfANewFile(t *testing.T) {
	const edited, added = "default.nix", "patches/CVE-2026-1234.patch"
	before := map[string][]byte{edited: []byte("old"), added: nil}
	after := map[string][]byte{edited: []byte("new"), added: []byte("patch")}
	for _, test := range []struct {
		name, want string
		prepare    func(dir string) error
	}{
		{"nothing in the way", "", func(string) error { return nil }},
		{"a file of that name", "patches/CVE-2026-1234.patch was changed in the meantime", func(dir string) error {
			if err := os.Mkdir(filepath.Join(dir, "patches"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, added), []byte("mine"), 0o644)
		}},
		{"an empty file of that name", "patches/CVE-2026-1234.patch was changed in the meantime", func(dir string) error {
			if err := os.Mkdir(filepath.Join(dir, "patches"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, added), nil, 0o644)
		}},
		{"a folder of that name", "is a directory", func(dir string) error { return os.MkdirAll(filepath.Join(dir, added), 0o755) }},
		{"a file in place of its folder", "not a directory", func(dir string) error { return os.WriteFile(filepath.Join(dir, "patches"), nil, 0o644) }},
		{"an edit meanwhile", "default.nix was changed in the meantime", func(dir string) error { return os.WriteFile(filepath.Join(dir, edited), []byte("mine"), 0o644) }},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, edited), before[edited], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := test.prepare(dir); err != nil {
			t.Fatal(err)
		}
		err := Install(dir, before, after)
		content, readErr := os.ReadFile(filepath.Join(dir, edited))
		if readErr != nil {
			t.Fatal(readErr)
		}
		switch {
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || string(content) == "new"):
			t.Errorf("%s: %v, %q", test.name, err, content)
		case test.want == "" && (err != nil || string(content) != "new"):
			t.Errorf("%s: %v, %q", test.name, err, content)
		}
		if test.want != "" {
			continue
		}
		if patch, err := os.ReadFile(filepath.Join(dir, added)); err != nil || string(patch) != "patch" {
			t.Errorf("%s: %v, %q", test.name, err, patch)
		}
		if err := Restore(dir, []string{edited, added}, before); err != nil {
			t.Error(err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%s: restored, there are %v", test.name, entries)
		}
	}
}

// A removed file is gone with its folder, if that is empty, and Restore brings it back. A file
// that was changed meanwhile stays, with all others.
func TestInstallRemovesFiles(t *testing.T) {
	const edited, removed = "default.nix", "patches/CVE-2026-1234.patch"
	before := map[string][]byte{edited: []byte("old"), removed: []byte("patch")}
	after := map[string][]byte{edited: []byte("new"), removed: nil}
	dir := t.TempDir()
	if err := Restore(dir, []string{edited, removed}, before); err != nil {
		t.Fatal(err)
	}
	if err := Install(dir, before, after); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("there are %v: %v", entries, err)
	}
	if err := Restore(dir, []string{edited, removed}, before); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, removed), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := Install(dir, before, after)
	if err == nil || !strings.Contains(err.Error(), removed+" was changed in the meantime: nothing was written") {
		t.Errorf("got %v", err)
	}
	for name, want := range map[string]string{edited: "old", removed: "mine"} {
		if content, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(content) != want {
			t.Errorf("%s is %q: %v", name, content, err)
		}
	}
}

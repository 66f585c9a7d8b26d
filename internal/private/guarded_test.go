package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const neighbour = 65534

func TestFolderThatOthersCanChangeIsNotTrusted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files of another user") // make test runs as root, too
	}
	dir := t.TempDir()
	mode := func(mode fs.FileMode, owner int) func(path string) error {
		return func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, owner, owner), os.Chmod(path, mode))
		}
	}
	for name, test := range map[string]struct {
		make func(path string) error
		good bool
	}{
		"own":                    {mode(0o700, 0), true},
		"readable":               {mode(0o755, 0), true},
		"of a group":             {mode(0o775, 0), true},
		"everybody's, sticky":    {mode(0o777|fs.ModeSticky, 0), true},
		"a link to an own one":   {func(path string) error { return os.Symlink(dir, path) }, true},
		"everybody's":            {mode(0o777, 0), false},
		"writable for others":    {mode(0o702, 0), false},
		"a neighbour's":          {mode(0o700, neighbour), false},
		"a neighbour's, for all": {mode(0o777|fs.ModeSticky, neighbour), false},
		"a file":                 {func(path string) error { return os.WriteFile(path, nil, 0o600) }, false},
		"a link to everybody's":  {func(path string) error { return errors.Join(mode(0o777, 0)(path+"-"), os.Symlink(path+"-", path)) }, false},
		"a link to a neighbour's": {func(path string) error {
			return errors.Join(mode(0o755, neighbour)(path+"-"), os.Symlink(path+"-", path))
		}, false},
		"beside what is the owner's": {func(path string) error {
			return errors.Join(mode(0o755, neighbour)(path+"-"), mode(0o755, neighbour)(path+"-/x"), os.Symlink(path+"-/x", path))
		}, false},
	} {
		path := filepath.Join(dir, name)
		must(t, test.make(path))
		if err := CheckTrusted(path); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The owner of a catalogue decides what is built there anyway.
	theirs := filepath.Join(dir, "catalogue")
	must(t, mode(0o755, neighbour)(theirs))
	must(t, mode(0o755, neighbour)(filepath.Join(theirs, "dist")))
	must(t, CheckTrusted(filepath.Join(theirs, "dist")))
}

func TestReadIgnoresFilesOfOtherUsers(t *testing.T) {
	dir := t.TempDir()
	made := map[string]func(path string) error{
		"writable for all": func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chmod(path, 0o602))
		},
		"a link": func(path string) error {
			return errors.Join(os.WriteFile(path+"-", []byte("x"), 0o600), os.Symlink(path+"-", path))
		},
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
	}
	if os.Geteuid() == 0 {
		made["a neighbour's"] = func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("x"), 0o644), os.Chown(path, neighbour, neighbour))
		}
	}
	for name, make := range made {
		path := filepath.Join(dir, name)
		must(t, make(path))
		if content, err := Read(path); err == nil {
			t.Errorf("%s: %q", name, content)
		}
		if name == "a folder" {
			continue
		}
		must(t, Replace(path, []byte("own")))
		if content, err := Read(path); err != nil || string(content) != "own" {
			t.Errorf("%s, replaced: %q, %v", name, content, err)
		}
	}
}

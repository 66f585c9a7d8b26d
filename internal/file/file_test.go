package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestReadRefusesWhatIsNoRegularFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("file"), []byte("x"), 0o600), os.Symlink("file", at("link")), os.Mkdir(at("folder"), 0o700), syscall.Mkfifo(at("pipe"), 0o600),
		os.Symlink("/dev/zero", at("zero")), os.Symlink("circle", at("circle")), os.WriteFile(at("large"), nil, 0o600), os.Truncate(at("large"), 1<<40),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"file": "", "link": "", "folder": "it is a folder, expected a file", "pipe": "it is a pipe, expected a file",
		"zero": "it is a device, expected a file", "circle": "too many levels", "large": "it is larger than 64 MiB", "missing": "no such file",
	} {
		content, err := Read(at(name))
		if want == "" && (err != nil || string(content) != "x") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %q, %v", name, content, err)
		}
	}
	if _, err := Read(at("missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if content, err := ReadOwn(at("file")); err != nil || string(content) != "x" {
		t.Error(content, err)
	}
	for _, name := range []string{"link", "circle", "zero"} {
		if _, err := ReadOwn(at(name)); err == nil || !strings.Contains(err.Error(), "it is a link") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

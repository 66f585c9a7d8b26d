package private

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestDemoRefusesAFolderOfAnotherUser(t *testing.T) {
	made := func(cache string) ([]string, error) {
		command := exec.Command("make", "-s", "-C", "../..", "demo-folder")
		command.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
		out, err := command.CombinedOutput()
		t.Logf("%s", out)
		found, _ := filepath.Glob(filepath.Join(cache, "libre-demo", "*"))
		return found, err
	}
	cache := t.TempDir()
	folders, err := made(cache)
	if err != nil || len(folders) != 1 {
		t.Fatalf("%v, %v", folders, err)
	}
	if info, err := os.Lstat(folders[0]); err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	name := strings.TrimPrefix(folders[0], cache)
	target := t.TempDir()
	prepared := map[string]func(path string) error{
		"a link":            func(path string) error { return os.Symlink(target, path) },
		"a link to nothing": func(path string) error { return os.Symlink(filepath.Join(target, "nothing"), path) },
		"a file":            func(path string) error { return os.WriteFile(path, nil, 0o600) },
	}
	if os.Geteuid() == 0 {
		prepared["another user's"] = func(path string) error { must(t, os.Mkdir(path, 0o777)); return os.Chown(path, 65534, 65534) }
	}
	for kind, prepare := range prepared {
		for _, at := range []string{name, filepath.Dir(name)} {
			cache := t.TempDir()
			must(t, os.MkdirAll(filepath.Dir(cache+at), 0o755))
			must(t, prepare(cache+at))
			if _, err := made(cache); err == nil {
				t.Errorf("%s as %s is used", kind, at)
			}
		}
	}
	if left, err := os.ReadDir(target); err != nil || len(left) > 0 {
		t.Errorf("a link was followed: %v, %v", left, err)
	}
}

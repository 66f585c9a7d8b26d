package process

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestProgramReadsOnlyTheListedPaths(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"secret", "open/file", "names/below/file", "names/allowed", "written/x"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(dir, "open/link")); err != nil {
		t.Fatal(err)
	}
	run := func(script string) (string, error) {
		command := Command(context.Background(), "sh", "-c", script)
		var out strings.Builder
		command.Dir, command.Stdout, command.Stderr = dir, &out, &out
		readable := Readable{Names: []string{filepath.Join(dir, "names")}, Paths: []string{"/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null",
			filepath.Join(dir, "open"), filepath.Join(dir, "names/allowed"), filepath.Join(dir, "missing")}}
		if err := readable.Start(command); err != nil {
			return "", err
		}
		err := command.Wait()
		return out.String(), err
	}
	for _, c := range []struct{ script, want string }{
		{"cat open/file", "of open/file"},
		{"cat names/allowed", "of names/allowed"},
		{"ls names/below", "file\n"},
		{"echo x > written/y; mv written/y . && mv y names", ""},
		{"f=$(mktemp open/XXX); echo y > $f; mv $f names/allowed; cp open/file open/z; cat open/z", "of open/file"},
	} {
		if out, err := run(c.script); err != nil || out != c.want {
			t.Errorf("%s: %q, %v", c.script, out, err)
		}
	}
	for _, script := range []string{"cat secret", "cat open/link", "cat open/../secret", "ls .", "cat names/below/file", "exec 3<secret", "sh -c 'sh -c \"cat secret\"'",
		"cat /proc/$PPID/environ", "cp secret open/copy", "mv secret open/ && cat open/secret", "ln secret open/hard && cat open/hard", "cat /etc/shadow"} {
		if out, err := run(script); err == nil || strings.Contains(out, "of ") {
			t.Errorf("%s: %q", script, out)
		}
	}
	// The test itself is not restricted.
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if _, err := os.ReadFile(filepath.Join(dir, "secret")); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

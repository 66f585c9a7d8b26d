package bump

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// A patch or a definition that is a link is read and written in the catalogue alone.
func TestLinksOutOfACatalogueAreNotFollowed(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &checkout{copy: t.TempDir(), original: map[string][]byte{}}
	for name, target := range map[string]string{
		"absolute": outside, "relative": "../" + filepath.Base(filepath.Dir(outside)) + "/secret", "folder": filepath.Dir(outside), "twice": "absolute",
		"climbing": "../../../../../../../../.." + outside, "inside": "file", "around": "../" + filepath.Base(c.copy) + "/file",
	} {
		if err := os.Symlink(target, filepath.Join(c.copy, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(c.copy, "file"), []byte("own"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"absolute", "relative", "folder/secret", "twice", "climbing", "../secret", outside} {
		if content, err := c.read(name); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %q, %v", name, content, err)
		}
		if err := c.write(name, []byte("x")); err == nil {
			t.Errorf("%s is written", name)
		}
	}
	for _, name := range []string{"file", "inside", "around"} {
		if content, err := c.read(name); err != nil || string(content) != "own" {
			t.Errorf("%s: %q, %v", name, content, err)
		}
	}
	if content, err := os.ReadFile(outside); err != nil || string(content) != "canary" {
		t.Errorf("outside is %q, %v", content, err)
	}
	pipe := testkit.OddFiles(t)["a pipe"]
	testkit.Refused(t, "a pipe", func() error { return copyEntry(filepath.Join(t.TempDir(), "to"), pipe) })
}

package main

import (
	"bytes"
	"crypto/sha1"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// Packs of more than 2 GiB have the places of what is behind that in a table of its own.
func TestIndexOfLargePack(t *testing.T) {
	testkit.Require(t, "git")
	p := &pack{objects: []packed{
		{id: id{0x00, 1}, offset: 12}, {id: id{0xff, 2}, offset: 1<<31 - 1}, {id: id{0x7f, 3}, offset: 1 << 31, crc: 5}, {id: id{0x7f, 4}, offset: 7 << 32, crc: 0xffffffff}, {id: id{0x01, 5}, offset: 500},
	}}
	end := sha1.Sum(nil)
	command := exec.Command("git", "show-index")
	command.Stdin = bytes.NewReader(p.index(end[:]))
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const rest = "000000000000000000000000000000000000"
	want := "12 0001" + rest + " (00000000)\n500 0105" + rest + " (00000000)\n2147483648 7f03" + rest + " (00000005)\n30064771072 7f04" + rest + " (ffffffff)\n2147483647 ff02" + rest + " (00000000)\n"
	if string(out) != want {
		t.Errorf("git reads\n%swant\n%s", out, want)
	}
}

func TestIsTag(t *testing.T) {
	for _, name := range []string{"v1.2.3", "1.0", "release/v1.2", "@scope/pkg@1.2.3", "docs_v1+build.5", "v1-rc.1", "été", "a@", "x.lock.y"} {
		if !isTag(name) {
			t.Errorf("%q is none", name)
		}
	}
	for _, name := range []string{"", "@", "../x", "a..b", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "a b", "a\nb", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a@{1}", "-a", "a\x7f"} {
		if isTag(name) {
			t.Errorf("%q is one", name)
		}
	}
	testkit.Require(t, "git")
	for _, name := range []string{"a..b", "a.lock", "a/.b", "a@{1}", "@scope/pkg@1.2.3", "a@", "x.lock.y", "a.lock/b"} {
		if ok := exec.Command("git", "check-ref-format", "refs/tags/"+name).Run() == nil; ok != isTag(name) {
			t.Errorf("%q: to git it is %t", name, ok)
		}
	}
}

// What is wrong is said, and no repository is begun.
func TestDescribeRefuses(t *testing.T) {
	for _, test := range []struct{ tag, time, want string }{
		{"../../x", "1", "is no name of a tag in git: correct source.tag"},
		{"v1", "-86400", `time "-86400": expected seconds since 1970`},
		{"v1", "soon", "expected seconds since 1970"},
	} {
		dir := t.TempDir()
		if err := describe(dir, test.tag, test.time); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%s: there is %v", test.tag, entries)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".git"), []byte("gitdir: ../x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := describe(dir, "v1", "1"); err == nil || err.Error() != "the source has a .git of its own: remove source.describe" {
		t.Error(err)
	}
}

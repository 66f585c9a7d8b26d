package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
)

// folder has all that git keeps, with modes as in a store.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"README": "hello\n", "copy": "hello\n", "empty": "", "bin/run": "#!/bin/sh\n", "a/x": "1", "a.b": "2", "a-b/c": "3", "a0": "4", "deep/er/than/that": "5",
		"block": strings.Repeat("x", storedBlock), "more": strings.Repeat("0123456789", 20_000), "sp ace/\u00e9\t": "6", strings.Repeat("long", 60): "7", "sub/.git": "gitdir: ../x\n", "sub/file": "8",
		".gitattributes": "* text=auto eol=crlf\n*.x filter=lfs\n", "a.x": "9\r\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := fs.FileMode(0o444)
		if strings.HasPrefix(name, "bin/") {
			mode = 0o555
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"link": "README", "bin/dangling": "/no/where", "tofolder": "deep"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "no/thing"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// git runs git in a folder, as a build that has no home and no settings.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := exec.Command("git", append([]string{"-C", dir}, args...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1"}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// To git the folder is a checkout of the tag in which nothing changed, whatever an
// engine does to its files.
func TestDescribe(t *testing.T) {
	testkit.Require(t, "git")
	for _, tag := range []string{"v2.3.3", "release/1.0", "@scope/pkg@1.2.3"} {
		t.Run(tag, func(t *testing.T) {
			dir := folder(t)
			if err := describe(dir, tag, "1795737600"); err != nil {
				t.Fatal(err)
			}
			git(t, dir, "fsck", "--full", "--strict")
			clean := func() {
				t.Helper()
				for _, args := range [][]string{{"describe"}, {"describe", "--tags"}, {"describe", "--always", "--dirty"}, {"describe", "--tags", "--exact-match", "--dirty=-changed"}, {"tag", "--points-at", "HEAD"}} {
					if got := git(t, dir, args...); got != tag {
						t.Errorf("git %q: %q", args, got)
					}
				}
				for _, args := range [][]string{{"status", "--porcelain"}, {"diff-index", "HEAD", "--"}, {"diff", "--stat"}, {"diff", "--cached", "--stat"}} {
					if got := git(t, dir, args...); got != "" {
						t.Errorf("git %q: %q", args, got)
					}
				}
			}
			clean()
			if got := git(t, dir, "log", "-1", "--format=%H %ct %at %cn <%ce>"); got != git(t, dir, "rev-parse", "HEAD")+" 1795737600 1795737600 libre <libre@localhost>" {
				t.Error(got)
			}
			// What git has is what is there.
			for _, name := range []string{"README", "copy", "empty", "bin/run", "block", "more", "sp ace/\u00e9\t", "a.x"} {
				want, err := os.ReadFile(filepath.Join(dir, name))
				command := exec.Command("git", "-C", dir, "cat-file", "blob", "HEAD:"+name)
				got, failed := command.Output()
				if err != nil || failed != nil || string(got) != string(want) {
					t.Errorf("%s: %v, %v, %d bytes, want %d", name, err, failed, len(got), len(want))
				}
			}
			if got := git(t, dir, "ls-tree", "HEAD", "bin/run", "bin/dangling", "README", "sub/", "no"); strings.Count(got, "\n") != 3 || !strings.Contains(got, "100755 blob") || !strings.Contains(got, "120000 blob") || !strings.Contains(got, "100644 blob") {
				t.Error(got)
			}
			// An ignore file leaves out some files, COPY gives others modes, steps add some.
			os.RemoveAll(filepath.Join(dir, "deep"))
			os.Chmod(filepath.Join(dir, "README"), 0o700)
			os.Chtimes(filepath.Join(dir, "copy"), time.Now(), time.Now())
			os.WriteFile(filepath.Join(dir, "built"), nil, 0o644)
			clean()
		})
	}
}

// Go puts the tag and the commit into a program, and no "+dirty" for what a build made
// before.
func TestGoStampsTheTag(t *testing.T) {
	testkit.Require(t, "git", "go")
	dir := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module example.org/x\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := describe(dir, "v1.4.2", "1795737600"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "generated.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "x")
	build := exec.Command("go", "build", "-buildvcs=true", "-o", program, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command("go", "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\tmod\texample.org/x\tv1.4.2\t", "\tvcs.revision=" + git(t, dir, "rev-parse", "HEAD"), "\tvcs.time=2026-11-27T00:00:00Z", "\tvcs.modified=false"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// A user who owns a copy, and has no home, needs no safe.directory.
func TestOwnedByAnother(t *testing.T) {
	testkit.Require(t, "git")
	testkit.RequireRoot(t)
	dir := folder(t)
	if err := describe(dir, "v1", "1"); err != nil {
		t.Fatal(err)
	}
	const user = 12345
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user, user)
	})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("git", "describe", "--always", "--dirty")
	command.Dir, command.Env = dir, []string{"PATH=" + os.Getenv("PATH")}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	if out, err := command.CombinedOutput(); err != nil || string(out) != "v1\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// The bytes follow from names, contents, tag and time alone, and stay as they are: an
// image that is built anew of the same source has the same repository.
func TestSameBytes(t *testing.T) {
	sums := func(dir string) string {
		var all strings.Builder
		err := filepath.WalkDir(filepath.Join(dir, ".git"), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			fmt.Fprintf(&all, "%s %x\n", rel, sha256.Sum256(content))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all.String()
	}
	first, second := folder(t), folder(t)
	os.Chtimes(filepath.Join(second, "README"), time.Unix(5, 0), time.Unix(5, 0))
	for _, dir := range []string{first, second} {
		if err := describe(dir, "v1", "1"); err != nil {
			t.Fatal(err)
		}
	}
	all := sums(first)
	if sums(second) != all {
		t.Errorf("the same folder gives\n%sand\n%s", all, sums(second))
	}
	if got := fmt.Sprintf("%x", sha256.Sum256([]byte(all))); got != "4601c7eb4c658788b3c57e6b52ff922a2d32b7c4ffeb2fce3b4c05674966b0cf" {
		t.Errorf("other bytes than so far, %s: catalog.ContainerfileFormat has to be raised\n%s", got, all)
	}
}

package edit

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// unpacked is a folder with a source of these files.
func unpacked(t *testing.T, files map[string]string) (folder string) {
	t.Helper()
	testkit.Require(t, "git")
	source := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(source, name), content)
	}
	folder = filepath.Join(t.TempDir(), "new")
	if _, err := Unpack(t.Context(), folder, source, nil, Origin{Catalogue: "/c", App: "docs", Variant: "lyon", Version: "1", Identity: "x"}); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestOriginIsKept(t *testing.T) {
	folder := unpacked(t, map[string]string{"a/b": "b\n"})
	for _, dir := range []string{folder, folder + "/a"} {
		top, origin, err := Open(t.Context(), dir)
		if err != nil || top != folder || origin != (Origin{"/c", "docs", "lyon", "1", "x"}) {
			t.Errorf("%s: %s, %+v, %v", dir, top, origin, err)
		}
	}
}

func TestChangesAreAPatch(t *testing.T) {
	source := map[string]string{"a": "1\n", "gone": "x\n", "moved": "m\n", "crlf": "1\r\n2\r\n", "latin": "caf\xe9\n", ".gitignore": "built\n*.tracked\n", "b.tracked": "1\n", ".gitattributes": "* text eol=lf\n"}
	const (
		a       = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,1 +1,1 @@\n-1\n+2\n"
		created = "diff --git a/n/w b/n/w\nnew file mode 100644\n--- /dev/null\n+++ b/n/w\n@@ -0,0 +1,1 @@\n+new\n"
	)
	for _, c := range []struct {
		name, do, want string // the patch, or the error
	}{
		{"nothing", "true", ""},
		{"a time", "touch a", ""},
		{"a file", "echo 2 >a", a},
		{"a file, staged", "echo 2 >a; git add a", a},
		{"a file, committed", "echo 2 >a; git -c user.name=x -c user.email=x@y commit -qam x", a},
		{"a new file", "mkdir n; echo new >n/w", created},
		{"a removed file", "rm gone", "diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n"},
		{"a renamed file", "mv moved to", "diff --git a/moved b/moved\ndeleted file mode 100644\n--- a/moved\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-m\ndiff --git a/to b/to\nnew file mode 100644\n--- /dev/null\n+++ b/to\n@@ -0,0 +1,1 @@\n+m\n"},
		{"CRLF", `printf '1\r\n3\r\n' >crlf`, "diff --git a/crlf b/crlf\n--- a/crlf\n+++ b/crlf\n@@ -1,2 +1,2 @@\n 1\r\n-2\r\n+3\r\n"},
		{"another encoding", `printf 'th\351\n' >latin`, "diff --git a/latin b/latin\n--- a/latin\n+++ b/latin\n@@ -1,1 +1,1 @@\n-caf\xe9\n+th\xe9\n"},
		{"ignored", "mkdir built; echo x >built/x", ""},
		{"ignored, but of the source", "echo 2 >b.tracked", "diff --git a/b.tracked b/b.tracked\n--- a/b.tracked\n+++ b/b.tracked\n@@ -1,1 +1,1 @@\n-1\n+2\n"},
		{"binary", `printf '\0' >logo.png`, "making a patch: logo.png: it is a binary file, which patch cannot change; undo it here; to add or replace a whole file, use addToSource in the definition"},
		{"a link", "ln -s /etc/passwd l", "making a patch: l: it is a symbolic link, which a patch must not change"},
		{"a file that becomes a link", "ln -sf /etc/passwd a", "making a patch: a: it is a symbolic link"},
		{"executable", "chmod +x a", "making a patch: a is executable now, which not every patch program does"},
		{"a new executable", "echo x >s; chmod +x s", "making a patch: s is executable now"},
		{"empty", ": >e", "making a patch: e: the patch has no lines for it, and not every patch program makes an empty file or changes a mode; undo it here; to add"},
		{"a space", "echo x >'a b'", "making a patch: a b: its name has spaces, quotes or characters beyond ASCII"},
		{"not UTF-8", `echo x >"$(printf 'a\351')"`, "it is not a path inside of the source"},
		{"a repository", "git init -q sub; cd sub; git -c user.name=x -c user.email=x@y commit -q --allow-empty -m x", "making a patch: sub: it is a submodule"},
		{"rejected", "echo x >a.rej", "a.rej has changes that did not apply; make them in a by hand"},
	} {
		folder := unpacked(t, source)
		command := exec.Command("sh", "-ec", c.do)
		command.Dir = folder
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.name, err, out)
		}
		got := ""
		changes, err := Compare(t.Context(), folder)
		switch {
		case err != nil:
			got = err.Error()
		case changes.Patch != nil:
			got = string(changes.Patch.Text)
		}
		if isPatch := strings.HasPrefix(c.want, "diff ") || c.want == ""; isPatch && got != c.want || !strings.Contains(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if c.name == "ignored" && !slices.Equal(changes.Ignored, []string{"built/"}) {
			t.Errorf("ignored: %q", changes.Ignored)
		}
		if left, _ := filepath.Glob(folder + "/.git/libre-index*"); len(left) > 0 {
			t.Errorf("%s: left %q", c.name, left)
		}
	}
}

// The user's settings change neither the patch nor start a program.
func TestSettingsOfGitHaveNoEffect(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home+"/config")
	ran := filepath.Join(home, "ran")
	write(t, home+"/.gitconfig", "[diff]\nnoprefix = true\nexternal = touch "+ran+"\nalgorithm = patience\ncontext = 9\nmnemonicPrefix = true\n[core]\nabbrev = 4\nautocrlf = true\nfsmonitor = touch "+ran+
		"\nhooksPath = "+home+"/hooks\n[filter \"x\"]\nclean = touch "+ran+"\nsmudge = touch "+ran+"\n[diff \"x\"]\ntextconv = touch "+ran+"\n[init]\ntemplateDir = "+home+"/template\n[color]\nui = always\n")
	write(t, home+"/config/git/attributes", "* filter=x diff=x\n")
	write(t, home+"/config/git/ignore", "*\n")
	for _, hook := range []string{"pre-commit", "post-commit", "post-index-change", "reference-transaction"} {
		for _, folder := range []string{"/hooks/", "/template/hooks/"} {
			write(t, home+folder+hook, "#!/bin/sh\ntouch "+ran+"\n")
			if err := os.Chmod(home+folder+hook, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	folder := unpacked(t, map[string]string{"a": "1\n", ".gitattributes": "* filter=x diff=x\n"})
	write(t, folder+"/a", "2\n")
	changes, err := Compare(t.Context(), folder)
	if err != nil || changes.Patch == nil || string(changes.Patch.Text) != "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,1 +1,1 @@\n-1\n+2\n" {
		t.Errorf("%+v, %v", changes, err)
	}
	if _, err := os.Stat(ran); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a program of the settings was started")
	}
}

// A source cannot bring a repository, hooks or settings, and no link of it is followed.
func TestHostileSource(t *testing.T) {
	testkit.Require(t, "git")
	outside := t.TempDir()
	source := t.TempDir()
	ran := filepath.Join(outside, "ran")
	for name, content := range map[string]string{
		".git/config": "[core]\nfsmonitor = touch " + ran + "\n", ".git/hooks/post-commit": "#!/bin/sh\ntouch " + ran + "\n", "sub/.GIT/config": "x", "deep/.git": "gitdir: /\n",
		".gitmodules": "[submodule \"x\"]\npath = x\nurl = ext::touch " + ran + "\n", "a": "1\n",
	} {
		write(t, filepath.Join(source, name), content)
	}
	if err := errors.Join(os.Chmod(source+"/.git/hooks/post-commit", 0o755), os.Symlink(outside, source+"/out"), os.Symlink("/etc/passwd", source+"/passwd")); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	patch := []byte("diff --git a/out/x b/out/x\nnew file mode 100644\n--- /dev/null\n+++ b/out/x\n@@ -0,0 +1 @@\n+evil\n")
	if _, err := Unpack(t.Context(), folder, source, patch, Origin{Catalogue: "/c", App: "a"}); err == nil {
		t.Error("the patch through a link was applied")
	}
	if entries, _ := os.ReadDir(folder); len(entries) > 0 {
		t.Errorf("a failure leaves %v", entries)
	}
	result, err := Unpack(t.Context(), folder, source, nil, Origin{Catalogue: "/c", App: "a"})
	if err != nil || !slices.Equal(result.LeftOut, []string{".git", "deep/.git", "sub/.GIT"}) {
		t.Fatalf("%+v, %v", result, err)
	}
	if changes, err := Compare(t.Context(), folder); err != nil || changes.Patch != nil {
		t.Errorf("%+v, %v", changes, err)
	}
	if link, err := os.Readlink(folder + "/passwd"); err != nil || link != "/etc/passwd" {
		t.Error(link, err)
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("written outside: %v", entries)
	}
}

func TestPatchGoesOnTopAndWhatDoesNotApplyIsLeft(t *testing.T) {
	testkit.Require(t, "git")
	patch := []byte("diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,1 +1,1 @@\n-1\n+2\ndiff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1,1 +1,1 @@\n-1\n+2\n")
	source := t.TempDir()
	write(t, source+"/a", "1\n")
	write(t, source+"/b", "other\n")
	folder := t.TempDir()
	result, err := Unpack(t.Context(), folder, source, patch, Origin{Catalogue: "/c", App: "a"})
	if err != nil || !slices.Equal(result.Rejected, []string{"b"}) {
		t.Fatalf("%+v, %v", result, err)
	}
	content, _ := os.ReadFile(folder + "/a")
	if string(content) != "2\n" {
		t.Errorf("%q", content)
	}
}

func TestFolderMustBeEmpty(t *testing.T) {
	folder := t.TempDir()
	write(t, folder+"/x", "mine\n")
	_, err := Unpack(t.Context(), folder, t.TempDir(), nil, Origin{})
	if err == nil || err.Error() != folder+" is not empty (it contains x); name another folder" {
		t.Error(err)
	}
	if content, _ := os.ReadFile(folder + "/x"); string(content) != "mine\n" {
		t.Errorf("%q", content)
	}
}

// An interruption while a source is unpacked leaves nothing behind.
func TestInterruptedUnpackLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	source, dir := t.TempDir(), t.TempDir()
	if err := errors.Join(os.WriteFile(source+"/a", []byte("1\n"), 0o644), os.Mkdir(dir+"/empty", 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"new", "empty"} {
		if _, err := Unpack(ctx, dir+"/"+folder, source, nil, Origin{Catalogue: dir, App: "docs"}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", folder, err)
		}
		entries, err := os.ReadDir(dir + "/" + folder)
		if isNew := folder == "new"; len(entries) > 0 || isNew != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, %v", folder, entries, err)
		}
	}
}

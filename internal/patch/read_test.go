package patch

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

const simple = "--- a/src/page.txt\n+++ b/src/page.txt\n@@ -1,3 +1,3 @@\n # Notes\n-hello\n+bonjour\n end\n"

// git returns a section of git's dialect, with its header's lines.
func git(header, diff string) string {
	return "diff --git a/src/page.txt b/src/page.txt\n" + header + diff
}

func TestReadRefuses(t *testing.T) {
	with := func(old, new string) string { return strings.ReplaceAll(simple, old, new) }
	tests := []struct{ name, patch, want string }{
		{"nothing", "", "it has no unified diff"},
		{"a text", "Hello\n\nThere is no patch here.\n", "it has no unified diff"},
		{"a web page", "<!DOCTYPE html>\n<html>--- a/x\n</html>\n", "it is a web page: give the address of the patch itself, which often ends in .patch"},
		{"a context diff", "*** a/x\n--- b/x\n***************\n*** 1,2 ****\n  a\n! b\n--- 1,2 ----\n  a\n! c\n", "it has no unified diff"},
		{"an ed script", "1,2d\na\n!touch /tmp/x\n.\n", "it has no unified diff"},
		{"no hunks", git("index 1..2 100644\n", ""), "src/page.txt: the patch has no lines for it, and not every patch program makes an empty file or changes a mode; remove it from the patch, and add the file by addToSource in the definition"},
		{"a mode alone", git("old mode 100644\nnew mode 100755\n", ""), "src/page.txt: the patch has no lines for it, and not every patch program makes an empty file or changes a mode; remove it from the patch, and add the file by addToSource in the definition"},
		{"an empty file", git("new file mode 100644\nindex 0000000..e69de29\n", ""), "src/page.txt: the patch has no lines for it, and not every patch program makes an empty file or changes a mode; remove it from the patch, and add the file by addToSource in the definition"},
		{"a hunk of context", git("", "--- a/src/page.txt\n+++ b/src/page.txt\n@@ -1,2 +1,2 @@\n a\n b\n"), "line 7: fragment contains no changes"},
		{"a hunk of nothing", git("", "--- a/src/page.txt\n+++ b/src/page.txt\n@@ -0,0 +0,0 @@\n"), "line 5: no content following fragment header"},
		{"a short hunk", with("@@ -1,3", "@@ -1,9"), ""},
		{"a hunk without a file", "@@ -1 +1 @@\n-a\n+b\n", "line 1: patch fragment without file header: @@ -1,1 +1,1 @@"},
		{"out of the source", with("src/page.txt", "../../etc/passwd"), "../../etc/passwd: it is not a path inside of the source"},
		{"out of the source, further down", with("src/page.txt", "src/../../x"), "src/../../x: it is not a path inside of the source"},
		{"out of the source, git", git("", "--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-a\n+b\n"), "../x: it is not a path inside of the source"},
		{"out of the source, quoted", git("", "--- \"a/\\056\\056/x\"\n+++ \"b/\\056\\056/x\"\n@@ -1 +1 @@\n-a\n+b\n"), "../x: it is not a path inside of the source"},
		{"absolute", "--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-a\n+b\n", "/etc/passwd: it is not a path inside of the source"},
		{"absolute, new", "--- /dev/null\n+++ /etc/cron.d/x\n@@ -0,0 +1 @@\n+b\n", "/etc/cron.d/x: it is not a path inside of the source"},
		{"the folder itself", "--- a/.\n+++ b/.\n@@ -1 +1 @@\n-a\n+b\n", ".: it is not a path inside of the source"},
		{"git's folder", with("src/page.txt", ".git/hooks/x"), ".git/hooks/x: it is in a folder .git"},
		{"git's folder, further down", with("src/page.txt", "src/.git/config"), "src/.git/config: it is in a folder .git"},
		{"a new link", git("new file mode 120000\n", "--- /dev/null\n+++ b/src/page.txt\n@@ -0,0 +1 @@\n+/etc/passwd\n"), "src/page.txt: it is a symbolic link, which a patch must not change"},
		{"a changed link", git("index 1..2 120000\n", "--- a/src/page.txt\n+++ b/src/page.txt\n@@ -1 +1 @@\n-a\n+b\n"), "src/page.txt: it is a symbolic link, which a patch must not change"},
		{"a file that becomes a link", git("old mode 100644\nnew mode 120000\n", "--- a/src/page.txt\n+++ b/src/page.txt\n@@ -1 +1 @@\n-a\n+b\n"), "src/page.txt: it is a symbolic link, which a patch must not change"},
		{"a removed link", git("deleted file mode 120000\n", "--- a/src/page.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"), "src/page.txt: it is a symbolic link, which a patch must not change"},
		{"a submodule", git("index 1..2 160000\n", "--- a/src/page.txt\n+++ b/src/page.txt\n@@ -1 +1 @@\n-Subproject commit 1\n+Subproject commit 2\n"), "src/page.txt: it is a submodule, which a patch cannot change"},
		{"another mode", git("new file mode 104755\n", "--- /dev/null\n+++ b/src/page.txt\n@@ -0,0 +1 @@\n+a\n"), "src/page.txt: it has the mode 104755, expected a file"},
		{"binary", git("index 1..2 100644\n", "Binary files a/src/page.txt and b/src/page.txt differ\n"), "src/page.txt: it is a binary file, which patch cannot change; remove it from the patch, and add the file by addToSource in the definition"},
		{"binary, with data", git("index 1..2 100644\n", "GIT binary patch\nliteral 1\nIcmZPo000310RR91\n\nliteral 1\nIcmZPo000310RR91\n\n"), "src/page.txt: it is a binary file, which patch cannot change; remove it from the patch, and add the file by addToSource in the definition"},
		{"renamed", "diff --git a/a.txt b/b.txt\nsimilarity index 100%\nrename from a.txt\nrename to b.txt\n", "b.txt: it is renamed from a.txt, which not every patch program does: write the patch with git diff --no-renames"},
		{"renamed and changed", "diff --git a/a.txt b/b.txt\nsimilarity index 50%\nrename from a.txt\nrename to b.txt\n--- a/a.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-a\n+b\n", "b.txt: it is renamed from a.txt, which not every patch program does: write the patch with git diff --no-renames"},
		{"renamed out of the source", "diff --git a/a.txt b/../b.txt\nsimilarity index 100%\nrename from a.txt\nrename to ../b.txt\n", "../b.txt: it is not a path inside of the source"},
		{"copied", "diff --git a/a.txt b/b.txt\nsimilarity index 100%\ncopy from a.txt\ncopy to b.txt\n", "b.txt: it is copied from a.txt, which not every patch program does: write the patch with git diff --no-renames"},
		{"CRLF throughout", strings.ReplaceAll(simple, "\n", "\r\n"), "src/page.txt: the lines of the diff's header end in CRLF: convert the patch with dos2unix"},
		{"CRLF throughout, git", strings.ReplaceAll(git("index 1..2 100644\n", simple), "\n", "\r\n"), ""},
		{"a name with a space", with("src/page.txt", "src/a page.txt"), "src/a page.txt: its name has spaces, quotes or characters beyond ASCII, which patch programs read differently"},
		{"a name with a line end", git("", "--- \"a/x\\ny\"\n+++ \"b/x\\ny\"\n@@ -1 +1 @@\n-a\n+b\n"), "x y: its name has spaces, quotes or characters beyond ASCII, which patch programs read differently"},
		{"a name that colours", with("src/page.txt", "src/\x1b[31mx"), "src/x: its name has spaces, quotes or characters beyond ASCII, which patch programs read differently"},
		{"a good and a bad file", simple + with("src/page.txt", "../x"), "../x: it is not a path inside of the source"},
		{"huge", simple + strings.Repeat("x", Most), "it has more than 4194304 bytes"},
		{"a huge number", with("@@ -1,3", "@@ -1,99999999999999999999999"), "line 3: invalid fragment header: bad end of range: 99999999999999999999999: value out of range"},
		{"many files", strings.Repeat(simple, mostFiles+1), "it changes more than 1000 files"},
	}
	for _, test := range tests {
		patch, err := Read([]byte(test.patch))
		switch {
		case err == nil:
			t.Errorf("%s: is read:\n%s", test.name, patch.Text)
		case test.want != "" && err.Error() != test.want:
			t.Errorf("%s:\n got %s\nwant %s", test.name, err, test.want)
		case strings.ContainsAny(err.Error(), "\n\r\x1b"):
			t.Errorf("%s: %q", test.name, err)
		}
	}
}

// mail is a commit as git and forges write it. Its message contains texts that programs read as
// diffs.
const mail = `From 4f2a9c1d0e8b7a6f5e4d3c2b1a09f8e7d6c5b4a3 Mon Sep 17 00:00:00 2001
From: Ada Lovelace <ada@example.org>
Date: Tue, 3 Nov 2026 10:00:00 +0100
Subject: [PATCH] Check the length, see CVE-2026-1234
MIME-Version: 1.0

This fixes cve-2026-9999 and GHSA-4xqx-pqpj-9fqw.

*** a/evil.txt
--- b/evil.txt
***************
*** 1 ****
! a
--- 1 ----
! evil
Index: evil.txt
Prereq: 1
---
 src/page.txt | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/src/page.txt b/src/page.txt
index 1..2 100644
--- a/src/page.txt
+++ b/src/page.txt
@@ -1,3 +1,3 @@ func Check()
 # Notes
-hello
+bonjour
 end
-- 
2.39.5

`

func TestReadWritesThePatchAnew(t *testing.T) {
	body := strings.Replace(simple, "@@\n", "@@ func Check()\n", 1)
	tests := []struct {
		name, patch, want string
		files, ids        []string
	}{
		{"a plain diff", simple, "diff --git a/src/page.txt b/src/page.txt\n" + simple, []string{"src/page.txt"}, nil},
		{"other folders and times", "--- notes-1.0/src/page.txt\t2026-01-01 10:00:00 +0000\n+++ notes/src/page.txt\t2026-01-02 10:00:00 +0000\n" + strings.SplitN(simple, "\n", 3)[2],
			"diff --git a/src/page.txt b/src/page.txt\n" + simple, []string{"src/page.txt"}, nil},
		{"a mail", mail, "From: Ada Lovelace <ada@example.org>\nDate: Tue, 3 Nov 2026 10:00:00 +0100\nSubject: Check the length, see CVE-2026-1234\n\ndiff --git a/src/page.txt b/src/page.txt\n" + body,
			[]string{"src/page.txt"}, []string{"CVE-2026-1234", "CVE-2026-9999", "GHSA-4xqx-pqpj-9fqw"}},
		{"a new and a removed file", "diff --git a/n.sh b/n.sh\nnew file mode 100755\n--- /dev/null\n+++ b/n.sh\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\ndiff --git a/o b/o\ndeleted file mode 100644\n--- a/o\n+++ /dev/null\n@@ -1 +0,0 @@\n-o\n",
			"diff --git a/n.sh b/n.sh\nnew file mode 100755\n--- /dev/null\n+++ b/n.sh\n@@ -0,0 +1,1 @@\n+x\n\\ No newline at end of file\ndiff --git a/o b/o\ndeleted file mode 100644\n--- a/o\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-o\n", []string{"n.sh", "o"}, nil},
		{"CRLF in the file", strings.ReplaceAll(strings.ReplaceAll(simple, "hello\n", "hello\r\n"), "bonjour\n", "bonjour\r\n"),
			"diff --git a/src/page.txt b/src/page.txt\n" + strings.ReplaceAll(strings.ReplaceAll(simple, "hello\n", "hello\r\n"), "bonjour\n", "bonjour\r\n"), []string{"src/page.txt"}, nil},
		{"two commits on one file", mail + strings.Replace(mail, "bonjour", "salut", 1), "", []string{"src/page.txt"}, []string{"CVE-2026-1234", "CVE-2026-9999", "GHSA-4xqx-pqpj-9fqw"}},
	}
	for _, test := range tests {
		patch, err := Read([]byte(test.patch))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if test.want != "" && string(patch.Text) != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, patch.Text, test.want)
		}
		if !slices.Equal(patch.Files, test.files) || !slices.Equal(patch.IDs, test.ids) {
			t.Errorf("%s: files %q, IDs %q", test.name, patch.Files, patch.IDs)
		}
	}
}

// Both patch programs that are used in builds change what was checked, and nothing else.
func TestPatchProgramsAgree(t *testing.T) {
	testkit.Require(t, "patch", "busybox")
	for name, text := range map[string]string{
		"plain": simple, "mail": mail,
		"new and removed": "diff --git a/src/n b/src/n\nnew file mode 100644\n--- /dev/null\n+++ b/src/n\n@@ -0,0 +1 @@\n+n\ndiff --git a/old.txt b/old.txt\ndeleted file mode 100644\n--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n",
	} {
		patch, err := Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, program := range [][]string{{"patch"}, {"busybox", "patch"}} {
			dir := t.TempDir()
			before := map[string]string{"src/page.txt": "# Notes\nhello\nend\n", "evil.txt": "a\n", "old.txt": "old\n"}
			for file, content := range before {
				write(t, filepath.Join(dir, file), content)
			}
			command := exec.Command(program[0], append(program[1:], "-p1")...)
			command.Dir, command.Stdin = dir, bytes.NewReader(patch.Text)
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("%s, %v: %v\n%s", name, program, err, out)
				continue
			}
			var changed []string
			after := os.DirFS(dir)
			for _, file := range []string{"evil.txt", "old.txt", "src/n", "src/page.txt"} {
				content, _ := fs.ReadFile(after, file)
				if string(content) != before[file] {
					changed = append(changed, file)
				}
			}
			if !slices.Equal(changed, patch.Files) {
				t.Errorf("%s: %v changes %q, the patch says %q", name, program, changed, patch.Files)
			}
		}
	}
}

func TestParseIDs(t *testing.T) {
	for _, test := range []struct{ given, want string }{
		{"CVE-2026-1234", "[CVE-2026-1234]"},
		{"CVE-2026-1234 CVE-2026-1234 GHSA-4xqx-pqpj-9fqw", "[CVE-2026-1234 GHSA-4xqx-pqpj-9fqw]"},
		{"GO-2026-1234 PYSEC-2026-12 RUSTSEC-2026-0001 DSA-5123-1 OSV-2026-1", "[GO-2026-1234 PYSEC-2026-12 RUSTSEC-2026-0001 DSA-5123-1 OSV-2026-1]"},
		{"cve-2026-1234", `vulnerability "cve-2026-1234": expected an ID like CVE-2026-1234; did you mean CVE-2026-1234?`},
		{"ghsa-4XQX-pqpj-9fqw", `vulnerability "ghsa-4XQX-pqpj-9fqw": expected an ID like CVE-2026-1234; did you mean GHSA-4xqx-pqpj-9fqw?`},
		{"CVE-2026-12", `vulnerability "CVE-2026-12": expected an ID like CVE-2026-1234, GHSA-4xqx-pqpj-9fqw or GO-2026-1234`},
		{"GHSA-aaaa-bbbb-cccc", `vulnerability "GHSA-aaaa-bbbb-cccc": expected an ID like CVE-2026-1234, GHSA-4xqx-pqpj-9fqw or GO-2026-1234`},
		{"../../x", `vulnerability "../../x": expected an ID like CVE-2026-1234, GHSA-4xqx-pqpj-9fqw or GO-2026-1234`},
		{"CVE-2026-1234/../x", `vulnerability "CVE-2026-1234/../x": expected an ID like CVE-2026-1234, GHSA-4xqx-pqpj-9fqw or GO-2026-1234`},
		{"X-" + strings.Repeat("1", 98), `vulnerability "X-` + strings.Repeat("1", 77) + `…": expected an ID like CVE-2026-1234, GHSA-4xqx-pqpj-9fqw or GO-2026-1234`},
		{"-rf", `vulnerability "-rf": expected an ID like CVE-2026-1234, GHSA-4xqx-pqpj-9fqw or GO-2026-1234`},
		{"", "no vulnerability given: name what the patch fixes with --fixes, such as CVE-2026-1234"},
	} {
		ids, err := ParseIDs(strings.Fields(test.given))
		got := fmt.Sprint(ids)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.given, got, test.want)
		}
	}
}

// For any bytes, an accepted patch only names files inside of a source, and is the same when it
// is read again.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{simple, mail, git("new file mode 120000\n", simple), "--- \"a/\\303\\244\"\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "diff --git a/x b/y\nrename from x\n",
		git("GIT binary patch\nliteral 1\nIcmZPo000310RR91\n", "")} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		patch, err := Read(content)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("%q", err)
			}
			return
		}
		for _, name := range patch.Files {
			if !filepath.IsLocal(name) || strings.ContainsAny(name, " \n\r\t\"\\") {
				t.Errorf("changes %q", name)
			}
		}
		again, err := Read(patch.Text)
		if err != nil {
			t.Fatalf("%v in\n%q", err, patch.Text)
		}
		from := func(text []byte) []byte { return text[bytes.Index(text, []byte("diff --git ")):] }
		if !slices.Equal(again.Files, patch.Files) || !bytes.Equal(from(again.Text), from(patch.Text)) {
			t.Errorf("%q of %q\nbecomes %q of %q", patch.Text, patch.Files, again.Text, again.Files)
		}
	})
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

package review

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/testkit"
)

func patchOf(patch []byte) Change { return Change{Kind: PatchChange, Name: "fix.patch", Patch: patch} }

func substitution(file, from, to string) Change {
	return Change{Kind: SubstituteChange, File: file, From: from, To: to}
}

const (
	renamePatch = "diff --git a/a.txt b/b c.txt\nsimilarity index 95%\nrename from a.txt\nrename to b c.txt\n--- a/a.txt\n+++ b/b c.txt\t\n@@ -1,4 +1,4 @@\n 1\n-2\n+two\n 3\n 4\n"
	modePatch   = "diff --git a/a.txt b/a.txt\nold mode 100644\nnew mode 100755\n"
	binaryPatch = "diff --git a/x.bin b/x.bin\nnew file mode 100644\nindex 0000000..593f470\nGIT binary patch\nliteral 3\nKcmZQz;NW2J00#g7\n\nliteral 0\nHcmV?d00001\n\n"
	quotedPatch = "diff --git \"a/\\303\\251.txt\" \"b/\\303\\251.txt\"\n--- \"a/\\303\\251.txt\"\n+++ \"b/\\303\\251.txt\"\n@@ -1 +1 @@\n-1\n+one\n"
)

func TestCheckChanges(t *testing.T) {
	testkit.Require(t, "patch", "bash", "busybox")
	plain := sourceFiles{"a.txt": numbered(40)}
	twenty := makePatch(t, plain, plain.with("a.txt", numbered(40, "20=twenty")))
	both := makePatch(t, plain, plain.with("a.txt", numbered(40, "5=five", "30=thirty")))
	created := makePatch(t, sourceFiles{}, sourceFiles{"new/n.txt": "new\n"})
	two := sourceFiles{"a.txt": numbered(40), "b/b.txt": numbered(9)}
	twoFiles := makePatch(t, two, sourceFiles{"a.txt": numbered(40, "20=twenty"), "b/b.txt": numbered(9, "5=five")})
	added := sourceFiles{"f": "added\n"}.write(t, t.TempDir())
	addedFile := filepath.Join(added, "f")
	minusMinus := makePatch(t, sourceFiles{"q.sql": "-- one\n-- two\nthree\n"}, sourceFiles{"q.sql": "++ one\nthree\n"})

	tests := []struct {
		name          string
		before, after sourceFiles // if before is nil, it is the same as after
		changes       []Change
		want          []string
	}{
		{"exact", nil, plain, []Change{patchOf(twenty)}, []string{"patch fix.patch applies"}},
		{"offset", nil, plain.with("a.txt", "0\n"+numbered(40)), []Change{patchOf(twenty)}, []string{"patch fix.patch applies: its lines have moved"}},
		{"fuzz", nil, plain.with("a.txt", numbered(40, "17=x")), []Change{patchOf(twenty)},
			[]string{"patch fix.patch applies with fuzz: nixpkgs' GNU patch applies it with fuzz 1; busybox' patch, of the host package set, does not"}},
		{"line gone", nil, plain.with("a.txt", numbered(40, "20=zwanzig")), []Change{patchOf(twenty)},
			[]string{`patch fix.patch no longer applies: a.txt @@ -17,7 +17,7 @@: no line "20"`}},
		{"second hunk", nil, plain.with("a.txt", numbered(40, "30=dreissig")), []Change{patchOf(both)},
			[]string{`patch fix.patch no longer applies: a.txt @@ -27,7 +27,7 @@: no line "30"`}},
		{"both hunks", nil, plain.with("a.txt", "nothing\n"), []Change{patchOf(both)},
			[]string{`patch fix.patch no longer applies: a.txt @@ -2,7 +2,7 @@: no line "5"; a.txt @@ -27,7 +27,7 @@: no line "30"`}},
		{"upstream", nil, plain.with("a.txt", "0\n"+numbered(40, "20=twenty")), []Change{patchOf(twenty)}, []string{"patch fix.patch is already upstream"}},
		{"first hunk upstream", nil, plain.with("a.txt", numbered(40, "5=five")), []Change{patchOf(both)},
			[]string{"patch fix.patch no longer applies: a.txt @@ -2,7 +2,7 @@: already upstream"}},
		{"one file upstream", nil, two.with("b/b.txt", numbered(9, "5=five")), []Change{patchOf(twoFiles)},
			[]string{"patch fix.patch no longer applies: b/b.txt: already upstream"}},
		{"lines in another order", nil, plain.with("a.txt", "23\n22\n21\n20\n19\n18\n17\n"), []Change{patchOf(twenty)},
			[]string{`patch fix.patch no longer applies: a.txt @@ -17,7 +17,7 @@: its lines are no longer in this order`}},
		{"no file", nil, sourceFiles{"b.txt": ""}, []Change{patchOf(twenty)}, []string{"patch fix.patch no longer applies: a.txt: the source has no such file"}},
		{"creates", nil, plain, []Change{patchOf(created)}, []string{"patch fix.patch applies"}},
		{"creates what is there", nil, sourceFiles{"new/n.txt": "old\n"}, []Change{patchOf(created)},
			[]string{"patch fix.patch no longer applies: new/n.txt: upstream has a file of this name now"}},
		{"created upstream", nil, sourceFiles{"new/n.txt": "new\n"}, []Change{patchOf(created)}, []string{"patch fix.patch is already upstream"}},
		{"deletes", nil, two, []Change{patchOf(makePatch(t, two, plain))}, []string{"patch fix.patch applies"}},
		{"deletes another one", nil, two.with("b/b.txt", numbered(12)), []Change{patchOf(makePatch(t, two, plain))},
			[]string{"patch fix.patch no longer applies: b/b.txt: Not deleting file b/b.txt as content differs from patch"}},
		{"deleted upstream", nil, plain, []Change{patchOf(makePatch(t, two, plain))}, []string{"patch fix.patch is already upstream"}},
		{"minus signs", nil, sourceFiles{"q.sql": "-- one\n-- two\nthree\n"}, []Change{patchOf(minusMinus)}, []string{"patch fix.patch applies"}},
		{"garbage", nil, plain, []Change{patchOf([]byte("hello\n"))}, []string{"patch fix.patch was not tried: it is not a unified diff"}},
		{"patch on patch", nil, plain, []Change{
			patchOf(twenty),
			patchOf(makePatch(t, sourceFiles{"a.txt": numbered(40, "20=twenty")}, sourceFiles{"a.txt": numbered(40, "20=score")})),
			substitution("a.txt", "score", "twenty\nand"),
		}, []string{"patch fix.patch applies", "patch fix.patch applies", "substitution in a.txt applies"}},
		{"substitution", nil, sourceFiles{"s.css": "Marianne, Marianne"}, []Change{substitution("s.css", "Marianne", "$1\\&")}, []string{"substitution in s.css applies"}},
		{"text gone", nil, sourceFiles{"s.css": "Roboto"}, []Change{substitution("s.css", "Marianne", "Roboto")},
			[]string{`substitution in s.css no longer applies: the text "Marianne" is gone, "Roboto" is there`}},
		{"twice", nil, sourceFiles{"s.css": "a"}, []Change{substitution("s.css", "a", "b"), substitution("s.css", "a", "b")},
			[]string{"substitution in s.css applies", `substitution in s.css no longer applies: the text "a" is gone, "b" is there`}},
		{"file gone", nil, plain, []Change{substitution("s.css", "a", "b")}, []string{"substitution in s.css no longer applies: the new source has no such file"}},
		{"folder", nil, two, []Change{substitution("b", "a", "b")}, []string{"substitution in b no longer applies: it is not a file in the new source"}},
		{"below a file", nil, plain, []Change{substitution("a.txt/b", "a", "b")}, []string{"substitution in a.txt/b no longer applies: the new source has no such file"}},
		{"addition", nil, plain, []Change{{Kind: AddChange, File: "x/y", Added: addedFile}, substitution("x/y", "added", "changed")},
			[]string{"addition of x/y applies", "substitution in x/y applies"}},
		{"addition of a folder", nil, plain, []Change{{Kind: AddChange, File: "x/", Added: added}, substitution("x/f", "added", "changed")},
			[]string{"addition of x applies", "substitution in x/f applies"}},
		{"added upstream", plain, plain.with("x", "theirs"), []Change{{Kind: AddChange, File: "x", Added: addedFile}},
			[]string{"addition of x applies, and hides a file of upstream: upstream has a file there now"}},
		{"changed upstream", plain, plain.with("a.txt", "theirs"), []Change{{Kind: AddChange, File: "a.txt", Added: addedFile}},
			[]string{"addition of a.txt applies, and hides a file of upstream: upstream changed the file that it replaces"}},
		{"replaces as before", nil, plain, []Change{{Kind: AddChange, File: "a.txt", Added: addedFile}}, []string{"addition of a.txt applies"}},
		{"file over folder", plain, two, []Change{{Kind: AddChange, File: "b", Added: addedFile}},
			[]string{"addition of b no longer applies: it is a folder in the new source, and a file is added"}},
		{"folder over folder", nil, plain.with("x/g", "theirs"), []Change{{Kind: AddChange, File: "x", Added: added}, substitution("x/g", "theirs", "ours"), substitution("x/f", "added", "changed")},
			[]string{"addition of x applies", "substitution in x/g applies", "substitution in x/f applies"}},
		{"folder over a file of its own", plain, plain.with("x/f", "theirs"), []Change{{Kind: AddChange, File: "x", Added: added}},
			[]string{"addition of x applies, and hides a file of upstream: upstream has a file there now"}},
		{"file of a folder over folder", plain, plain.with("x/f/g", "theirs"), []Change{{Kind: AddChange, File: "x", Added: added}},
			[]string{"addition of x no longer applies: x/f is a folder in the new source, and a file is added"}},
		{"folder of a folder over a file", plain, plain.with("x", "theirs"), []Change{{Kind: AddChange, File: "x/y", Added: added}},
			[]string{"addition of x/y no longer applies: x is a file in the new source"}},
		{"folder over all", nil, plain, []Change{{Kind: AddChange, File: ".", Added: added}, substitution("f", "added", "changed")},
			[]string{"addition of . applies", "substitution in f applies"}},
		{"folder over file", nil, plain, []Change{{Kind: AddChange, File: "a.txt", Added: added}},
			[]string{"addition of a.txt no longer applies: it is a file in the new source, and a folder is added"}},
		{"below a new file", nil, plain, []Change{{Kind: AddChange, File: "a.txt/x", Added: addedFile}},
			[]string{"addition of a.txt/x no longer applies: a.txt is a file in the new source"}},
		{"rename", nil, plain, []Change{patchOf([]byte(renamePatch)), substitution("b c.txt", "two", "2")},
			[]string{"patch fix.patch applies", "substitution in b c.txt applies"}},
		{"mode", nil, plain, []Change{patchOf([]byte(modePatch))}, []string{"patch fix.patch applies"}},
		{"binary", nil, plain, []Change{patchOf([]byte(binaryPatch))},
			[]string{"patch fix.patch no longer applies: x.bin: File x.bin: git binary diffs are not supported."}},
		{"quoted name", nil, sourceFiles{"é.txt": "1\n"}, []Change{patchOf([]byte(quotedPatch))}, []string{"patch fix.patch applies"}},
		{"CRLF", nil, sourceFiles{"a.txt": strings.ReplaceAll(numbered(40), "\n", "\r\n")}, []Change{patchOf(twenty)}, nil},
		{"no newline at the end", nil, sourceFiles{"a.txt": "1\n2"}, []Change{patchOf(makePatch(t, sourceFiles{"a.txt": "1\n2"}, sourceFiles{"a.txt": "1\n3"}))}, []string{"patch fix.patch applies"}},
		{"truncated", nil, plain, []Change{patchOf(twenty[:len(twenty)-8])}, nil},
		{"names that leave", nil, plain, []Change{patchOf([]byte("--- a/../../x\n+++ b/../../x\n@@ -0,0 +1 @@\n+x\n"))},
			[]string{"patch fix.patch no longer applies: ../../x: it is not a path inside the source"}},
	}
	// Only GNU patch accepts or refuses these.
	gnu := []string{"fuzz", "rename", "mode", "quoted name", "CRLF", "deletes", "deletes another one", "binary",
		"no newline at the end", "truncated", "names that leave"}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := test.after.write(t, t.TempDir())
			after := os.DirFS(source)
			before := after
			if test.before != nil {
				before = test.before.fs(t)
			}
			checks, err := CheckChanges(t.Context(), before, after, test.changes)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			breaks := false
			for _, check := range checks {
				got = append(got, check.String())
				breaks = breaks || check.Breaks()
			}
			if diff := cmp.Diff(test.want, got); diff != "" && test.want != nil {
				t.Error(diff)
			}
			for _, shell := range []string{"bash", "busybox"} {
				if shell == "busybox" && slices.Contains(gnu, test.name) {
					continue
				}
				out, failure := buildSource(t, shell, source, test.changes)
				switch {
				case test.name == "file over folder": // cp accepts it, and puts the file elsewhere
				case test.name == "garbage": // it is not tried
				case breaks != (failure != ""):
					t.Errorf("%v, and a build with %s says: %s", got, shell, failure)
				case !breaks:
					compareTrees(t, before, after, test.changes, out)
				}
			}
		})
	}
}

func TestCheckChangesVariants(t *testing.T) {
	testkit.Require(t, "patch")
	source := sourceFiles{"a.txt": numbered(40)}
	twenty := makePatch(t, source, source.with("a.txt", numbered(40, "20=twenty")))
	score := makePatch(t, sourceFiles{"a.txt": numbered(40, "20=twenty")}, sourceFiles{"a.txt": numbered(40, "20=score")})
	variant := func(name string, c Change) Change {
		c.Variant = name
		return c
	}
	checks, err := CheckChanges(t.Context(), nil, source.fs(t), []Change{
		variant("lyon", patchOf(score)),
		variant("nice", substitution("a.txt", "score", "x")),
		patchOf(twenty),
		variant("lyon", substitution("a.txt", "score", "x")),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"patch fix.patch (variant lyon) applies",
		`substitution in a.txt (variant nice) no longer applies: the text "score" is gone`,
		"patch fix.patch applies",
		"substitution in a.txt (variant lyon) applies",
	}
	for i, check := range checks {
		if check.String() != want[i] {
			t.Errorf("%s", check)
		}
	}
}

// Links are never followed, wherever they lead.
func TestCheckChangesLinks(t *testing.T) {
	testkit.Require(t, "patch")
	outside := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(outside, []byte(numbered(40)), 0o644); err != nil {
		t.Fatal(err)
	}
	plain := sourceFiles{"a.txt": numbered(40)}
	twenty := makePatch(t, plain, plain.with("a.txt", numbered(40, "20=twenty")))
	source := sourceFiles{"a.txt": "-> " + outside, "d": "-> " + filepath.Dir(outside), "f": "-> a.txt"}.fs(t)
	for _, c := range []Change{
		patchOf(twenty),
		patchOf([]byte(strings.ReplaceAll(string(twenty), "/a.txt", "/d/a.txt"))),
		substitution("f", "20", "x"),
		{Kind: AddChange, File: "d/x", Added: outside},
		substitution("../a.txt", "20", "x"),
		substitution("/etc/passwd", "root", "x"),
	} {
		checks, err := CheckChanges(t.Context(), nil, source, []Change{c})
		if err != nil || checks[0].Verdict != Untried || checks[0].Reason == "" {
			t.Errorf("%v %+v", err, checks)
		}
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != numbered(40) {
		t.Errorf("changed: %v", err)
	}
}

func TestCheckChangesErrors(t *testing.T) {
	testkit.Require(t, "patch")
	plain := sourceFiles{"a.txt": numbered(40)}
	changes := []Change{patchOf(makePatch(t, plain, plain.with("a.txt", numbered(40, "20=twenty"))))}
	source := plain.fs(t)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var failed *PatchError
	_, err := CheckChanges(ctx, nil, source, changes)
	if !errors.Is(err, context.Canceled) || !errors.As(err, &failed) {
		t.Errorf("interrupted: %v", err)
	}
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	_, err = CheckChanges(t.Context(), nil, source, changes)
	if want := "trying fix.patch against the new source: running patch: patch is not installed: libre needs it to try patches before a build"; err == nil || err.Error() != want {
		t.Errorf("without patch: %v", err)
	}
	other := fmt.Sprintf("#!%s\necho 'patch: unrecognized option: unified' >&2\nexit 1\n", "/bin/sh")
	if err := os.WriteFile(filepath.Join(empty, "patch"), []byte(other), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = CheckChanges(t.Context(), nil, source, changes)
	if !errors.As(err, &failed) || failed.Reason != "it is not GNU patch: install GNU patch" || len(failed.Tail) != 1 {
		t.Errorf("another patch: %v", err)
	}
}

// A script of ed in a patch does not run, and nothing prompts.
func TestCheckChangesRunsNothing(t *testing.T) {
	testkit.Require(t, "patch")
	mark := filepath.Join(t.TempDir(), "mark")
	plain := sourceFiles{"a.txt": numbered(40)}
	script := "--- a/a.txt\n+++ a/a.txt\n1d\n!touch " + mark + "\n.\n"
	unified := string(makePatch(t, plain, plain.with("a.txt", numbered(40, "20=twenty"))))
	for _, patch := range []string{script, script + unified, unified + script} {
		if _, err := CheckChanges(t.Context(), nil, plain.fs(t), []Change{patchOf([]byte(patch))}); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(mark); err == nil {
			t.Fatalf("ran: %s", patch)
		}
	}
}

func FuzzReadSections(f *testing.F) {
	for _, seed := range []string{renamePatch, modePatch, binaryPatch, quotedPatch,
		"Index: x\n--- a/x y\t2026\n+++ b/x y\t2026\n@@ -1,2 +1 @@ f()\n-1\n 2\n\\ No newline\n--- a/z\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, patch []byte) {
		sections := readSections(patch)
		size := 0
		for _, s := range sections {
			size += len(s.text)
			for _, name := range s.names {
				if name == "" || name[0] == '/' {
					t.Errorf("name %q", name)
				}
			}
		}
		if len(sections) > 0 && size != len(patch) {
			t.Errorf("%d bytes in sections of a patch of %d", size, len(patch))
		}
	})
}

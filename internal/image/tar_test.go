package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func storeTar(t testing.TB, s *fakeStore) []byte {
	t.Helper()
	var b bytes.Buffer
	check(t, writeTar(context.Background(), &b, func(tr *tree) error { return tr.storePaths(s.all, s.root) }))
	return b.Bytes()
}

// goldenStoreTar changes only together with catalog.Format.
const goldenStoreTar = "755f2cf92641b2341b58440a18ba15c7ef0c7b1a5fa372e509a1f287a53ebe25"

func TestStoreTar(t *testing.T) {
	s, _ := demo(t)
	content := storeTar(t, s)
	if got := fmt.Sprintf("%x", sha256.Sum256(content)); got != goldenStoreTar {
		t.Errorf("digest %s, want %s: raise catalog.Format", got, goldenStoreTar)
	}
	got := listing(t, bytes.NewReader(content))
	var want strings.Builder
	want.WriteString("5 0755 0:0 nix/\n5 0755 0:0 nix/store/\n")
	for _, line := range []string{
		"5 0555 0:0 NOTES/",
		"5 0555 0:0 NOTES/bin/",
		"0 0555 0:0 NOTES/bin/notes",
		"5 0555 0:0 NOTES/share/",
		"0 0444 0:0 NOTES/share/README",
		"5 0555 0:0 NOTES/share/empty/",
	} {
		want.WriteString(strings.Replace(line, "NOTES", pathFor("notes-1.0")[1:], 1) + "\n")
	}
	var notes strings.Builder
	for line := range strings.Lines(got) {
		if strings.Contains(line, "notes-1.0/") && line[0] != '2' || !strings.Contains(line, "-") {
			notes.WriteString(line)
		}
	}
	if diff := cmp.Diff(want.String(), notes.String()); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(got, "2 0777 0:0 "+pathFor("glibc-2.41")[1:]+"/lib/libc.so libc.so.6\n") {
		t.Errorf("the link libc.so is missing in\n%s", got)
	}
}

// The bytes do not depend on the umask, on hard links (an optimised store), on times, on modes
// other than the owner's x, or on any order.
func TestStoreTarSameBytes(t *testing.T) {
	s, _ := demo(t)
	want := storeTar(t, s)

	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	other, _ := demo(t)
	rand.Shuffle(len(other.all), func(i, j int) { other.all[i], other.all[j] = other.all[j], other.all[i] })
	notes := other.root + pathFor("notes-1.0")
	check(t, os.Remove(notes+"/share/README"))
	check(t, os.WriteFile(filepath.Join(other.root, "link"), []byte("read me"), 0o640))
	check(t, os.Link(filepath.Join(other.root, "link"), notes+"/share/README"))
	check(t, os.Chmod(notes+"/bin/notes", 0o700))
	if !bytes.Equal(storeTar(t, other), want) {
		t.Error("another umask, order and a hardlink give other bytes")
	}
}

func TestStoreTarSpecialFile(t *testing.T) {
	s := newFakeStore(t)
	path := s.add("odd", map[string]string{"a": "a"})
	check(t, syscall.Mkfifo(s.root+path+"/pipe", 0o644))
	err := writeTar(context.Background(), &bytes.Buffer{}, func(tr *tree) error { return tr.storePaths(s.all, s.root) })
	if err == nil || !strings.Contains(err.Error(), "neither a file, a folder nor a link") {
		t.Errorf("got %v", err)
	}
}

func TestStoreTarPlainFileAndLongNames(t *testing.T) {
	s := newFakeStore(t)
	s.add("file", nil)
	path := s.root + s.all[0].Path
	check(t, os.Remove(path))
	check(t, os.WriteFile(path, []byte("a store path may be a file"), 0o444))
	long := strings.Repeat("long/", 60) + "n\xffme"
	s.add("tree", map[string]string{long: "!x"})
	got := listing(t, bytes.NewReader(storeTar(t, s)))
	for _, want := range []string{"0 0444 0:0 " + s.all[0].Path[1:] + "\n", "0 0555 0:0 " + s.all[1].Path[1:] + "/" + long + "\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestRootFS(t *testing.T) {
	s, spec := demo(t)
	write := func(owners map[string]Owner) (string, error) {
		var b bytes.Buffer
		err := writeTar(context.Background(), &b, func(tr *tree) error { return tr.rootFS(s.root+spec.Root, owners) })
		return b.String(), err
	}
	content, err := write(spec.Owners)
	check(t, err)
	want := `5 0755 0:0 bin/
2 0777 1001:1001 bin/notes ` + pathFor("notes-1.0") + `/bin/notes
5 0750 1001:1001 data/
5 0755 0:0 etc/
0 0644 0:0 etc/passwd
0 0600 1001:0 etc/secret
5 01777 0:0 tmp/
5 0755 0:0 usr/
5 0755 0:0 usr/lib/
5 0755 0:0 usr/lib/a b/
0 0755 0:0 usr/lib/a b/ü
`
	if diff := cmp.Diff(want, listing(t, strings.NewReader(content))); diff != "" {
		t.Error(diff)
	}
	for _, test := range []struct {
		owners map[string]Owner
		want   string
	}{
		{map[string]Owner{"/tmp": {Mode: 0o1777}, "/no/such": {Mode: 0o755}}, "declared for /no/such, which is not in the root file system"},
		{map[string]Owner{"/bin/notes": {Mode: 0o755}}, "/bin/notes is a link and cannot have mode 0755"},
	} {
		if _, err := write(test.owners); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
	for _, bad := range []map[string]Owner{{"tmp": {}}, {"/tmp/": {}}, {"/../tmp": {}}, {"/tmp": {Mode: 0o10000}}, {"/tmp": {UID: -1}}} {
		if checkOwners(bad) == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}

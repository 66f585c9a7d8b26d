package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// entry is an entry of a tar made by hand. It is a folder if the name ends with a slash, a link
// if it has a target, and a file otherwise.
type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Name: name, Mode: 0o644, ModTime: layerTime}, content}
}

// with returns the entry with a changed header.
func (e entry) with(change func(*tar.Header)) entry {
	change(&e.Header)
	return e
}

// packed returns a tar of entries.
func packed(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		switch {
		case h.Typeflag != 0:
		case strings.HasSuffix(h.Name, "/"):
			h.Typeflag = tar.TypeDir
		case h.Linkname != "":
			h.Typeflag = tar.TypeSymlink
		default:
			h.Typeflag, h.Size = tar.TypeReg, int64(len(e.content))
		}
		check(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, e.content)
		check(t, err)
	}
	check(t, w.Close())
	return b.Bytes()
}

var bigFile = strings.Repeat("0123456789abcdef", 10_000)

func TestCompareTars(t *testing.T) {
	a, b, c := file("bin/a", "aaa"), file("bin/b", "bbb"), file("bin/c", "ccc")
	link := entry{Header: tar.Header{Name: "bin/l", Linkname: "/x", Mode: 0o777}}
	device := entry{Header: tar.Header{Name: "dev/x", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}}
	changed := func(e entry, change func(*tar.Header)) []entry { return []entry{e.with(change)} }
	for _, test := range []struct {
		name               string
		published, rebuilt []entry
		want               string
	}{
		{"empty", nil, nil, ""},
		{"the same", []entry{a, b, link, device}, []entry{a, b, link, device}, ""},
		{"another way to write a name", []entry{{Header: tar.Header{Name: "bin/"}}, a}, []entry{{Header: tar.Header{Name: "./bin/"}}, file("./bin/a", "aaa")}, ""},
		{"another form of headers", changed(a, func(h *tar.Header) { h.Format = tar.FormatPAX }), changed(a, func(h *tar.Header) { h.Format = tar.FormatGNU }), ""},
		{"missing at the end", []entry{a, b}, []entry{a}, "/bin/b: only in the published image"},
		{"added at the end", []entry{a}, []entry{a, b}, "/bin/b: only in the rebuilt image"},
		{"missing in between", []entry{a, b, c}, []entry{a, c}, "/bin/b: only in the published image"},
		{"added in between", []entry{a, c}, []entry{a, b, c}, "/bin/b: only in the rebuilt image"},
		{"another name", []entry{a, c}, []entry{b, c}, "/bin/a: only in the published image, the rebuilt one has /bin/b there"},
		{"another order", []entry{a, b, c}, []entry{b, a, c}, "/bin/a: at another place among the entries of the rebuilt image"},
		{"one is empty", nil, []entry{a}, "/bin/a: only in the rebuilt image"},

		{"type", []entry{link}, []entry{file("bin/l", "")}, "/bin/l: type is link published, file rebuilt"},
		{"link", []entry{link}, changed(link, func(h *tar.Header) { h.Linkname = "/y" }), `/bin/l: link target is "/x" published, "/y" rebuilt`},
		{"size", []entry{a}, []entry{file("bin/a", "aa")}, "/bin/a: size is 3 published, 2 rebuilt"},
		{"mode", []entry{a}, changed(a, func(h *tar.Header) { h.Mode = 0o4755 }), "/bin/a: mode is 0644 published, 04755 rebuilt"},
		{"uid", []entry{a}, changed(a, func(h *tar.Header) { h.Uid = 1001 }), "/bin/a: uid is 0 published, 1001 rebuilt"},
		{"gid", []entry{a}, changed(a, func(h *tar.Header) { h.Gid = 1001 }), "/bin/a: gid is 0 published, 1001 rebuilt"},
		{"user", []entry{a}, changed(a, func(h *tar.Header) { h.Uname = "root" }), `/bin/a: user is "" published, "root" rebuilt`},
		{"group", []entry{a}, changed(a, func(h *tar.Header) { h.Gname = "\x1b[31m" }), `/bin/a: group is "" published, "\x1b[31m" rebuilt`},
		{"device", []entry{device}, changed(device, func(h *tar.Header) { h.Devminor = 5 }), "/dev/x: device is 1:3 published, 1:5 rebuilt"},
		{"mtime", []entry{a}, changed(a, func(h *tar.Header) { h.ModTime = created }), "/bin/a: mtime is 1970-01-01T00:00:01Z published, 2026-07-09T10:00:00Z rebuilt"},
		{
			"mtime's fraction", []entry{a}, changed(a, func(h *tar.Header) { h.ModTime, h.Format = time.Unix(1, 5), tar.FormatPAX }),
			"/bin/a: mtime is 1970-01-01T00:00:01Z published, 1970-01-01T00:00:01.000000005Z rebuilt",
		},
		{
			"atime", []entry{a}, changed(a, func(h *tar.Header) { h.AccessTime, h.Format = layerTime, tar.FormatPAX }),
			"/bin/a: atime is not set published, 1970-01-01T00:00:01Z rebuilt",
		},
		{
			"extended attribute", changed(a, func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x02"} }), []entry{a},
			"/bin/a: security.capability is only in the published image",
		},
		{
			"its value", changed(a, func(h *tar.Header) { h.PAXRecords = map[string]string{"VENDOR.x": "1"} }),
			changed(a, func(h *tar.Header) { h.PAXRecords = map[string]string{"VENDOR.x": "2"} }),
			`/bin/a: VENDOR.x is "1" published, "2" rebuilt`,
		},

		{"content", []entry{a, b}, []entry{a, file("bin/b", "bbx")}, "/bin/b: content differs at byte 2"},
		{"content's first byte", []entry{a}, []entry{file("bin/a", "xaa")}, "/bin/a: content differs at byte 0"},
		{
			"content far on", []entry{file("x", bigFile+"y")}, []entry{file("x", bigFile+"z")},
			fmt.Sprintf("/x: content differs at byte %d", len(bigFile)),
		},
		{
			"the first one only", []entry{file("bin/a", "aaa"), b, c}, []entry{file("bin/a", "aax"), b},
			"/bin/a: content differs at byte 2",
		},
		{"a name that is no text", []entry{file("a\x1b[2J\n", "1")}, []entry{file("a\x1b[2J\n", "2")}, `"/a\x1b[2J\n": content differs at byte 0`},
		{"a name that looks like another", []entry{file("a\u202etxt", "1")}, nil, `"/a\u202etxt": only in the published image`},
		{"a name above the root", []entry{file("../../etc/passwd", "1")}, nil, "/etc/passwd: only in the published image"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := compareTars(bytes.NewReader(packed(t, test.published...)), bytes.NewReader(packed(t, test.rebuilt...)))
			check(t, err)
			got := ""
			if d != nil {
				got = d.path + ": " + d.how
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestCompareTarsDamaged(t *testing.T) {
	whole := packed(t, file("a", bigFile), file("b", "b"))
	for _, test := range []struct {
		name               string
		published, rebuilt []byte
		want               string
	}{
		{"no tar", []byte(strings.Repeat("no tar", 200)), whole, "the published image: archive/tar: invalid tar header"},
		{"ends in a file", whole, whole[:2000], "the rebuilt image: unexpected EOF"},
		{"both do", whole[:2000], whole[:2000], "the published image: unexpected EOF"},
	} {
		if d, err := compareTars(bytes.NewReader(test.published), bytes.NewReader(test.rebuilt)); d != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %+v, %v, want %s", test.name, d, err, test.want)
		}
	}
}

func FuzzCompareTars(f *testing.F) {
	a := packed(f, file("bin/a", "aaa"), file("bin/b", "bbb"))
	f.Add(a, a)
	f.Add(a, packed(f, file("bin/b", "bbb"), file("bin/a", "aaa")))
	f.Add(a, packed(f, file("bin/a", "aab").with(func(h *tar.Header) { h.PAXRecords = map[string]string{"VENDOR.x": "\xff"} })))
	f.Add(a[:700], a)
	f.Add(packed(f, entry{Header: tar.Header{Name: "x/", Uname: "root"}}), []byte{})
	f.Fuzz(func(t *testing.T, published, rebuilt []byte) {
		d, err := compareTars(bytes.NewReader(published), bytes.NewReader(rebuilt))
		if bytes.Equal(published, rebuilt) && d != nil {
			t.Errorf("equal tars: %s: %s", d.path, d.how)
		}
		if d != nil && (err != nil || printable(d.path) != d.path && !strings.HasPrefix(d.path, `"`) || strings.ContainsAny(d.path+d.how, "\x1b\n\x00")) {
			t.Errorf("%q: %q, %v", d.path, d.how, err)
		}
		if d, _ := compareTars(bytes.NewReader(published), bytes.NewReader(published)); d != nil {
			t.Errorf("a tar and itself: %s: %s", d.path, d.how)
		}
	})
}

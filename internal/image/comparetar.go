package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entryDifference is where two tars are not the same.
type entryDifference struct {
	path string // in the image: /bin/hello
	how  string
}

// compareTars finds the first entry that is not the same in both, nil where
// there is none. Two entries are the same one if they have the same path:
// "./bin" and "bin/" do. How the tars write headers (ustar, PAX, GNU) is no
// difference.
func compareTars(published, rebuilt io.Reader) (*entryDifference, error) {
	a, b := tar.NewReader(published), tar.NewReader(rebuilt)
	c := contents{left: maxLayer}
	for {
		inA, err := next(a)
		if err != nil {
			return nil, fmt.Errorf("the published one: %w", err)
		}
		inB, err := next(b)
		if err != nil {
			return nil, fmt.Errorf("the rebuilt one: %w", err)
		}
		switch {
		case inA == nil && inB == nil:
			return nil, nil
		case inB == nil:
			return &entryDifference{entryPath(inA), onlyPublished}, nil
		case inA == nil:
			return &entryDifference{entryPath(inB), onlyRebuilt}, nil
		case place(inA) != place(inB):
			return misplaced(inA, inB, a, b)
		}
		how := headerDifference(inA, inB)
		if how == "" {
			if how, err = c.difference(a, b); err != nil {
				return nil, fmt.Errorf("%s: %w", entryPath(inA), err)
			}
		}
		if how != "" {
			return &entryDifference{entryPath(inA), how}, nil
		}
	}
}

// next is the next header, nil at the end.
func next(r *tar.Reader) (*tar.Header, error) {
	h, err := r.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return h, err
}

// place is where an entry ends up.
func place(h *tar.Header) string { return path.Clean("/" + h.Name) }

func entryPath(h *tar.Header) string { return printable(place(h)) }

// misplaced explains why different entries follow what is the same: it looks
// for each of them in the rest of the other tar.
func misplaced(inA, inB *tar.Header, a, b *tar.Reader) (*entryDifference, error) {
	foundB, err := find(b, place(inA))
	if err != nil {
		return nil, fmt.Errorf("the rebuilt one: %w", err)
	}
	foundA, err := find(a, place(inB))
	if err != nil {
		return nil, fmt.Errorf("the published one: %w", err)
	}
	switch {
	case foundA && foundB:
		return &entryDifference{entryPath(inA), "at another place among the entries of the rebuilt image"}, nil
	case foundB:
		return &entryDifference{entryPath(inB), onlyRebuilt}, nil
	case foundA:
		return &entryDifference{entryPath(inA), onlyPublished}, nil
	}
	return &entryDifference{entryPath(inA), onlyPublished + ", the rebuilt one has " + entryPath(inB) + " there"}, nil
}

func find(r *tar.Reader, wanted string) (bool, error) {
	for {
		h, err := next(r)
		if h == nil || err != nil {
			return false, err
		}
		if place(h) == wanted {
			return true, nil
		}
	}
}

// headerDifference names the first field that is not the same, "" for none.
func headerDifference(a, b *tar.Header) string {
	switch {
	case a.Typeflag != b.Typeflag:
		return "type is " + bothSides(typeName(a.Typeflag), typeName(b.Typeflag))
	case a.Linkname != b.Linkname:
		return "link target is " + bothTexts(a.Linkname, b.Linkname)
	case a.Size != b.Size:
		return "size is " + bothSides(a.Size, b.Size)
	case a.Mode != b.Mode:
		return "mode is " + bothSides(fmt.Sprintf("%#o", a.Mode), fmt.Sprintf("%#o", b.Mode))
	case a.Uid != b.Uid:
		return "uid is " + bothSides(a.Uid, b.Uid)
	case a.Gid != b.Gid:
		return "gid is " + bothSides(a.Gid, b.Gid)
	case a.Uname != b.Uname:
		return "user is " + bothTexts(a.Uname, b.Uname)
	case a.Gname != b.Gname:
		return "group is " + bothTexts(a.Gname, b.Gname)
	case a.Devmajor != b.Devmajor || a.Devminor != b.Devminor:
		return "device is " + bothSides(fmt.Sprintf("%d:%d", a.Devmajor, a.Devminor), fmt.Sprintf("%d:%d", b.Devmajor, b.Devminor))
	}
	for _, t := range []struct {
		name string
		a, b time.Time
	}{
		{"mtime", a.ModTime, b.ModTime},
		{"atime", a.AccessTime, b.AccessTime},
		{"ctime", a.ChangeTime, b.ChangeTime},
	} {
		if !t.a.Equal(t.b) {
			return t.name + " is " + bothSides(stamp(t.a), stamp(t.b))
		}
	}
	return recordDifference(a.PAXRecords, b.PAXRecords)
}

// expressed are the PAX records that other fields of a header hold.
var expressed = []string{"path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime"}

// recordDifference compares what only PAX records hold: extended attributes,
// among them a file's capabilities, and what programs write of their own.
func recordDifference(a, b map[string]string) string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	for _, key := range keys {
		inA, okA := a[key]
		inB, okB := b[key]
		// How a sparse file is written is no matter: Go's reader fills the holes.
		if inA == inB && okA == okB || slices.Contains(expressed, key) || strings.HasPrefix(key, "GNU.sparse.") {
			continue
		}
		name := printable(strings.TrimPrefix(key, "SCHILY.xattr."))
		switch {
		case !okB:
			return name + " is " + onlyPublished
		case !okA:
			return name + " is " + onlyRebuilt
		}
		return name + " is " + bothTexts(inA, inB)
	}
	return ""
}

// stamp is a time as people and "date -d" read it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "not set"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func typeName(flag byte) string {
	switch flag {
	case tar.TypeReg:
		return "file"
	case tar.TypeDir:
		return "folder"
	case tar.TypeSymlink:
		return "link"
	case tar.TypeLink:
		return "hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	case tar.TypeFifo:
		return "named pipe"
	}
	return strconv.QuoteRune(rune(flag))
}

// contents compares what entries hold.
type contents struct {
	a, b [64 << 10]byte
	left int64 // bytes; the holes of a sparse file are read as well
}

// difference says at which byte the rest of two files differs, "" for nowhere.
func (c *contents) difference(a, b io.Reader) (string, error) {
	for at := 0; ; {
		n, endA, err := fill(a, c.a[:])
		if err != nil {
			return "", fmt.Errorf("the published one: %w", err)
		}
		m, endB, err := fill(b, c.b[:])
		if err != nil {
			return "", fmt.Errorf("the rebuilt one: %w", err)
		}
		if !bytes.Equal(c.a[:n], c.b[:m]) {
			same := 0
			for same < min(n, m) && c.a[same] == c.b[same] {
				same++
			}
			return fmt.Sprintf("content differs at byte %d", at+same), nil
		}
		if endA && endB {
			return "", nil
		}
		at += n
		if c.left -= int64(n); c.left < 0 {
			return "", fmt.Errorf("the layer's files hold more than %d GiB", maxLayer>>30)
		}
	}
}

// fill reads until the buffer is full or the file ends.
func fill(r io.Reader, buffer []byte) (n int, end bool, err error) {
	for n < len(buffer) {
		m, err := r.Read(buffer[n:])
		n += m
		if errors.Is(err, io.EOF) {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

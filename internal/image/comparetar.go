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

// entryDifference is the first difference between two tars.
type entryDifference struct {
	path string // in the image: /bin/hello
	how  string
}

// compareTars finds the first entry that differs, nil if there is none. Entries with the
// same path belong together: "./bin" and "bin/". The format of headers (ustar, PAX, GNU)
// does not matter.
func compareTars(published, rebuilt io.Reader) (*entryDifference, error) {
	a, b := tar.NewReader(published), tar.NewReader(rebuilt)
	c := contents{left: maxLayer}
	for {
		inA, err := next(a)
		if err != nil {
			return nil, fmt.Errorf("the published image: %w", err)
		}
		inB, err := next(b)
		if err != nil {
			return nil, fmt.Errorf("the rebuilt image: %w", err)
		}
		switch {
		case inA == nil && inB == nil:
			return nil, nil
		case inB == nil:
			return &entryDifference{entryPath(inA), onlyPublished}, nil
		case inA == nil:
			return &entryDifference{entryPath(inB), onlyRebuilt}, nil
		case cleanName(inA) != cleanName(inB):
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

// next returns the next header, nil at the end.
func next(r *tar.Reader) (*tar.Header, error) {
	h, err := r.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return h, err
}

// cleanName returns the path of an entry in the image.
func cleanName(h *tar.Header) string { return path.Clean("/" + h.Name) }

func entryPath(h *tar.Header) string { return printable(cleanName(h)) }

// misplaced explains why two entries at the same position have different paths: it looks
// for each of them in the rest of the other tar.
func misplaced(inA, inB *tar.Header, a, b *tar.Reader) (*entryDifference, error) {
	foundB, err := find(b, cleanName(inA))
	if err != nil {
		return nil, fmt.Errorf("the rebuilt image: %w", err)
	}
	foundA, err := find(a, cleanName(inB))
	if err != nil {
		return nil, fmt.Errorf("the published image: %w", err)
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
		if cleanName(h) == wanted {
			return true, nil
		}
	}
}

// headerDifference describes the first field that differs, "" if there is none.
func headerDifference(a, b *tar.Header) string {
	switch {
	case a.Typeflag != b.Typeflag:
		return "type is " + bothSides(typeName(a.Typeflag), typeName(b.Typeflag))
	case a.Linkname != b.Linkname:
		return "link target is " + bothStrings(a.Linkname, b.Linkname)
	case a.Size != b.Size:
		return "size is " + bothSides(a.Size, b.Size)
	case a.Mode != b.Mode:
		return "mode is " + bothSides(fmt.Sprintf("%#o", a.Mode), fmt.Sprintf("%#o", b.Mode))
	case a.Uid != b.Uid:
		return "uid is " + bothSides(a.Uid, b.Uid)
	case a.Gid != b.Gid:
		return "gid is " + bothSides(a.Gid, b.Gid)
	case a.Uname != b.Uname:
		return "user is " + bothStrings(a.Uname, b.Uname)
	case a.Gname != b.Gname:
		return "group is " + bothStrings(a.Gname, b.Gname)
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
			return t.name + " is " + bothSides(formatTime(t.a), formatTime(t.b))
		}
	}
	return recordDifference(a.PAXRecords, b.PAXRecords)
}

// headerRecords are the PAX records that are fields of a tar.Header as well.
var headerRecords = []string{"path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime"}

// recordDifference compares all other PAX records: extended attributes, such as a file's
// capabilities, and records that programs define.
func recordDifference(a, b map[string]string) string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	for _, key := range keys {
		inA, okA := a[key]
		inB, okB := b[key]
		// The form of sparse files does not matter: Go's reader fills the holes.
		if inA == inB && okA == okB || slices.Contains(headerRecords, key) || strings.HasPrefix(key, "GNU.sparse.") {
			continue
		}
		name := printable(strings.TrimPrefix(key, "SCHILY.xattr."))
		switch {
		case !okB:
			return name + " is " + onlyPublished
		case !okA:
			return name + " is " + onlyRebuilt
		}
		return name + " is " + bothStrings(inA, inB)
	}
	return ""
}

// formatTime formats a time for people and "date -d".
func formatTime(t time.Time) string {
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

// contents compares the content of entries.
type contents struct {
	a, b [64 << 10]byte
	left int64 // bytes that may still be read, holes of sparse files included
}

// difference describes where two files differ, "" if they are the same.
func (c *contents) difference(a, b io.Reader) (string, error) {
	for at := 0; ; {
		n, endA, err := fill(a, c.a[:])
		if err != nil {
			return "", fmt.Errorf("the published image: %w", err)
		}
		m, endB, err := fill(b, c.b[:])
		if err != nil {
			return "", fmt.Errorf("the rebuilt image: %w", err)
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
			return "", fmt.Errorf("the files of the layer have more than %d GiB", maxLayer>>30)
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

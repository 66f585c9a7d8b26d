package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// openZstd is set where the program is built: Go has a reader in its internal packages.
var openZstd func(io.Reader) io.Reader

// unpackArchive unpacks a tar (plain or compressed) or zip file into out, without the
// single top folder that all entries share. What it is shows in its first bytes.
func unpackArchive(archive, out string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	content := bufio.NewReader(file)
	magic, err := content.Peek(6)
	if err != nil && err != io.EOF {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	tree := &tree{root: out, left: archiveLimit()}
	starts := func(prefix string) bool { return strings.HasPrefix(string(magic), prefix) }
	switch {
	case starts("PK\x03\x04"):
		err = tree.unzip(archive)
	case starts("\x1f\x8b"):
		var plain io.Reader
		if plain, err = gzip.NewReader(content); err == nil {
			err = tree.untar(plain)
		}
	case starts("\xfd7zXZ\x00"):
		err = tree.untarXZ(content)
	case starts("\x28\xb5\x2f\xfd"):
		err = tree.untar(openZstd(content))
	case starts("BZh"):
		err = tree.untar(bzip2.NewReader(content))
	default:
		err = tree.untar(content)
	}
	if err == nil && tree.top == "" {
		err = errors.New("it has no entries")
	}
	return err
}

// untarXZ has busybox's xz, which is in PATH where this runs, read the file.
func (t *tree) untarXZ(content io.Reader) error {
	xz := exec.Command("xz", "-dc")
	xz.Stdin, xz.Stderr = content, os.Stderr
	plain, err := xz.StdoutPipe()
	if err != nil {
		return err
	}
	if err := xz.Start(); err != nil {
		return err
	}
	if err = t.untar(plain); err != nil {
		_ = xz.Process.Kill()
	}
	_, _ = io.Copy(io.Discard, plain) // what follows the end of the archive
	return errors.Join(err, xz.Wait())
}

// tree is the folder that entries are written to; top is the name of the archive's
// top, a folder or a single file, known after the first entry.
type tree struct {
	root, top string
	single    bool  // top is a file
	left      int64 // bytes that may be written yet
}

// archiveLimit is how many bytes an archive may be unpacked to, as libre's limits.archive
// has it, unless the builder's environment sets another.
func archiveLimit() int64 {
	if limit, err := strconv.ParseInt(os.Getenv("NIX_LIBRE_ARCHIVE_LIMIT"), 10, 64); err == nil && limit > 0 {
		return limit
	}
	return 8 << 30
}

// target maps an entry's name to its place: "" for the top folder itself.
func (t *tree) target(name string, folder bool) (string, error) {
	name = filepath.Clean(strings.TrimSuffix(name, "/"))
	if name == "." {
		return "", nil
	}
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("entry %q leaves the archive", name)
	}
	top, rest, _ := strings.Cut(name, "/")
	if t.top == "" {
		t.top = top
		t.single = rest == "" && !folder
	}
	if top != t.top || t.single && rest != "" {
		return "", fmt.Errorf("entries %q and %q: expected one file or folder at the top", t.top, top)
	}
	if t.single {
		return filepath.Join(t.root, top), nil
	}
	if rest == "" {
		return "", nil
	}
	path := filepath.Join(t.root, rest)
	return path, os.MkdirAll(filepath.Dir(path), 0o755)
}

func (t *tree) untar(content io.Reader) error {
	entries := tar.NewReader(content)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue // git archive's commit
		}
		path, err := t.target(header.Name, header.Typeflag != tar.TypeReg)
		if err != nil {
			return err
		}
		if path == "" {
			continue
		}
		if header.Typeflag != tar.TypeDir {
			_ = os.Remove(path) // a later entry of a name takes its place
		}
		switch header.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeReg:
			err = t.write(path, header.FileInfo().Mode(), entries)
		case tar.TypeSymlink:
			err = os.Symlink(header.Linkname, path)
		case tar.TypeLink:
			var linked string
			if linked, err = t.target(header.Linkname, false); err == nil {
				err = os.Link(linked, path)
			}
		default:
			err = fmt.Errorf("entry %q has type %q", header.Name, header.Typeflag)
		}
		if err != nil {
			return err
		}
	}
}

func (t *tree) unzip(archive string) error {
	content, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer content.Close()
	for _, entry := range content.File {
		path, err := t.target(entry.Name, entry.FileInfo().IsDir())
		if err != nil {
			return err
		}
		if path == "" {
			continue
		}
		if entry.FileInfo().IsDir() {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = t.unzipFile(entry, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) unzipFile(entry *zip.File, path string) error {
	content, err := entry.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	if entry.Mode()&fs.ModeSymlink != 0 {
		link, err := io.ReadAll(io.LimitReader(content, 4096))
		if err != nil {
			return err
		}
		return os.Symlink(string(link), path)
	}
	return t.write(path, entry.Mode(), content)
}

// write makes a regular file; of the mode, only the owner's executable bit
// counts, as in the Nix store. Holes count as what they stand for.
func (t *tree) write(path string, mode fs.FileMode, content io.Reader) error {
	perm := fs.FileMode(0o644)
	if mode&0o100 != 0 {
		perm = 0o755
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	defer file.Close()
	n, err := io.Copy(file, io.LimitReader(content, t.left+1))
	if err != nil {
		return err
	}
	if t.left -= n; t.left < 0 {
		return fmt.Errorf("the archive is larger than the limit of %d bytes: NIX_LIBRE_ARCHIVE_LIMIT sets it", archiveLimit())
	}
	return file.Close()
}

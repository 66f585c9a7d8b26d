package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// unpackArchive unpacks a tar (plain or gzip) or zip file into out, without the
// single top folder that all entries share.
func unpackArchive(archive, out string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	content := bufio.NewReader(file)
	magic, err := content.Peek(4)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	tree := tree{root: out}
	switch {
	case string(magic) == "PK\x03\x04":
		return tree.unzip(archive)
	case magic[0] == 0x1f && magic[1] == 0x8b:
		plain, err := gzip.NewReader(content)
		if err != nil {
			return err
		}
		return tree.untar(plain)
	default:
		return tree.untar(content)
	}
}

// tree is the folder that entries are written to; top is the archive's top
// folder, known after the first entry.
type tree struct{ root, top string }

// target maps an entry's name to its place: "" for the top folder itself.
func (t *tree) target(name string) (string, error) {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("entry %q leaves the archive", name)
	}
	top, rest, _ := strings.Cut(name, "/")
	if t.top == "" {
		t.top = top
	}
	if top != t.top {
		return "", fmt.Errorf("entries %q and %q: expected one top folder", t.top, top)
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
		path, err := t.target(header.Name)
		if err != nil {
			return err
		}
		if path == "" {
			continue
		}
		switch header.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeReg:
			err = write(path, header.FileInfo().Mode(), entries)
		case tar.TypeSymlink:
			err = os.Symlink(header.Linkname, path)
		case tar.TypeLink:
			var linked string
			if linked, err = t.target(header.Linkname); err == nil {
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
		path, err := t.target(entry.Name)
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
	return write(path, entry.Mode(), content)
}

// write makes a regular file; of the mode, only the owner's executable bit
// counts, as in the Nix store.
func write(path string, mode fs.FileMode, content io.Reader) error {
	perm := fs.FileMode(0o644)
	if mode&0o100 != 0 {
		perm = 0o755
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, content); err != nil {
		return err
	}
	return file.Close()
}

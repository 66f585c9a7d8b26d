package upstream

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
	"github.com/therootcompany/xz"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Archive is a release's source as a forge packs it: a tar or zip with one top folder, which is
// stripped. It is an fs.FS of that tree, read without unpacking. Symbolic links can be read,
// but are never followed.
type Archive struct {
	Hash    string    // SRI sha256 of the tree's NAR, as in nixpkgs' fetchzip and builtins.fetchTarball
	Commit  string    // from the header that git archive writes; otherwise ""
	Date    time.Time // date of the newest entry; git archive gives all entries the commit's date
	Top     string    // the top folder's name
	Entries int       // files, folders and links below it
	Size    int64     // bytes of the files
	// Lacks lists what the repository has and its archives do not: submodules, and files in
	// Git LFS.
	Lacks []string
	// ExportSubst are the files in which git archive writes the commit or its date. So two
	// archives of one commit may differ.
	ExportSubst []string

	root  *archiveEntry
	spool *os.File
}

// ArchiveLimits protect against archives that are not releases.
type ArchiveLimits struct {
	Bytes   int64 // bytes of the unpacked tar, and of its files with the holes of sparse files
	Entries int
}

// DefaultArchiveLimits are several times the size of the largest projects.
var DefaultArchiveLimits = ArchiveLimits{Bytes: 8 << 30, Entries: 500_000}

const (
	// The index is in memory. These limit its size.
	maxArchiveName  = 4096     // bytes of a name or a link's target, as for a path in Linux
	maxArchiveNames = 64 << 20 // bytes of all of them

	maxGitFile = 1 << 20 // bytes of a .gitattributes that is read
)

// ErrArchiveFormat means that libre does not know the archive's format. Nix may know it.
var ErrArchiveFormat = errors.New("unknown archive format, expected a zip or a tar, plain or compressed with gzip, xz, zstd or bzip2")

// HashArchive reads an archive and returns it with its hash. It writes the files to an unnamed
// temporary file, which Close frees, so memory does not grow with their size. It refuses
// entries that no release needs: names outside the tree, hard links, devices, and duplicate
// entries.
func HashArchive(r io.Reader, limits ArchiveLimits) (_ *Archive, err error) {
	spool, err := os.CreateTemp("", "libre-archive-")
	if err != nil {
		return nil, fmt.Errorf("spooling an archive: %w", err)
	}
	os.Remove(spool.Name()) // so that it is removed even if libre is killed
	a := &Archive{spool: spool}
	defer func() {
		if err != nil {
			spool.Close()
			err = fmt.Errorf("reading the archive: %w", err)
		}
	}()
	plain, err := decompressArchive(r, limits)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	if err := a.load(&limitedReader{plain, limits.Bytes, limits.Bytes}, limits); err != nil {
		return nil, err
	}
	if err := a.inspect(); err != nil {
		return nil, err
	}
	a.Hash, err = a.narHash()
	return a, err
}

// Close frees the spooled files.
func (a *Archive) Close() error { return a.spool.Close() }

func decompressArchive(r io.Reader, limits ArchiveLimits) (io.ReadCloser, error) {
	content := bufio.NewReaderSize(r, 64<<10)
	magic, err := content.Peek(512)
	if err != nil && err != io.EOF {
		return nil, err
	}
	starts := func(prefix string) bool { return bytes.HasPrefix(magic, []byte(prefix)) }
	switch {
	case starts("\x1f\x8b"):
		// It reads ahead, at most 16 blocks.
		return pgzip.NewReaderN(content, 256<<10, 16)
	case starts("\xfd7zXZ\x00"):
		plain, err := xz.NewReader(content, xz.DefaultDictMax)
		return io.NopCloser(plain), err
	case starts("\x28\xb5\x2f\xfd"):
		plain, err := zstd.NewReader(content, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, err
		}
		return plain.IOReadCloser(), nil
	case starts("PK\x03\x04"):
		return zipAsTar(content, limits.Bytes)
	case starts("BZh"):
		return io.NopCloser(bzip2.NewReader(content)), nil
	case len(magic) == 512 && bytes.HasPrefix(magic[257:], []byte("ustar")):
		return io.NopCloser(content), nil
	}
	return nil, ErrArchiveFormat
}

// limitedReader returns an error at its limit, where io.LimitReader would end.
type limitedReader struct {
	r     io.Reader
	limit int64
	left  int64
}

// errTooLarge returns the error for an archive that exceeds ArchiveLimits.Bytes.
func errTooLarge(limit int64) error {
	return fmt.Errorf("it is larger than the limit of %d bytes: raise limits.archive in libre.yaml", limit)
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errTooLarge(l.limit)
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLarge(l.limit)
	}
	return n, err
}

// archiveLoader puts a tar's entries into a tree, in any order.
type archiveLoader struct {
	*Archive
	above  *archiveEntry // of the top folder
	limits ArchiveLimits
	names  int // bytes
	out    *bufio.Writer
	offset int64 // in the temporary file
	lfs    []string
}

var commitID = lazyregexp.New(`\A[0-9a-f]{40}(?:[0-9a-f]{24})?\z`)

func (a *Archive) load(plain io.Reader, limits ArchiveLimits) error {
	l := &archiveLoader{
		Archive: a,
		above:   &archiveEntry{kind: archiveFolder},
		limits:  limits,
		// Hide the file's ReadFrom: bufio would pass large files to it.
		out: bufio.NewWriterSize(struct{ io.Writer }{a.spool}, 256<<10),
	}
	for t := tar.NewReader(plain); ; {
		header, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		// https://git-scm.com/docs/git-archive: the commit is the comment of a
		// global header, which comes first.
		if header.Typeflag == tar.TypeXGlobalHeader {
			if comment := header.PAXRecords["comment"]; a.Commit == "" && commitID().MatchString(comment) {
				a.Commit = comment
			}
			continue
		}
		if err := l.add(header, t); err != nil {
			return fmt.Errorf("%s: %w", shortQuote(header.Name), err)
		}
	}
	// Read to the end, so that the compression's checksum is checked.
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return err
	}
	if err := l.out.Flush(); err != nil {
		return err
	}
	if len(l.above.children) != 1 {
		return fmt.Errorf("it has %d entries at its top, expected one folder", len(l.above.children))
	}
	for a.Top, a.root = range l.above.children {
	}
	if a.root.kind != archiveFolder {
		return fmt.Errorf("%s at its top is not a folder", shortQuote(a.Top))
	}
	a.Entries-- // the top folder
	if len(l.lfs) > 0 {
		a.Lacks = append(a.Lacks, fmt.Sprintf("%d files of Git LFS, %s first", len(l.lfs), shortQuote(l.lfs[0])))
	}
	return nil
}

// shortQuote makes a name from outside safe for a message.
func shortQuote(name string) string {
	if len(name) > 80 {
		return strconv.QuoteToASCII(name[:80]) + "…"
	}
	return strconv.QuoteToASCII(name)
}

func (l *archiveLoader) add(header *tar.Header, content io.Reader) error {
	parts, err := archivePath(header.Name)
	if err != nil {
		return err
	}
	if l.names += len(header.Name) + len(header.Linkname); l.names > maxArchiveNames {
		return errors.New("the archive's names together exceed the limit")
	}
	if header.ModTime.Unix() > 0 && header.ModTime.After(l.Date) {
		l.Date = header.ModTime
	}
	e := &archiveEntry{declared: true}
	switch header.Typeflag {
	case tar.TypeDir:
		e.kind = archiveFolder
	case tar.TypeReg:
		e.kind = archiveFile
		if header.Mode&0o100 != 0 { // the owner's bit, as in Nix
			e.kind = archiveExecutable
		}
	case tar.TypeSymlink:
		e.kind, e.target = archiveLink, header.Linkname
		if e.target == "" || len(e.target) > maxArchiveName || strings.Contains(e.target, "\x00") {
			return fmt.Errorf("it is a link to %s", shortQuote(e.target))
		}
	case tar.TypeLink:
		return errors.New("it is a hard link")
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return errors.New("it is a device")
	default:
		return fmt.Errorf("it is of the unknown type %q", header.Typeflag)
	}
	if len(parts) == 0 { // "./"
		if e.kind != archiveFolder {
			return errors.New("it has no name")
		}
		return nil
	}
	if err := l.place(parts, e); err != nil || e.kind == archiveFolder || e.kind == archiveLink {
		return err
	}
	return l.store(parts, e, header.Size, content)
}

// archivePath splits a name as tar does: it ignores "." and empty parts.
func archivePath(name string) ([]string, error) {
	if strings.HasPrefix(name, "/") || strings.Contains(name, "\x00") || len(name) > maxArchiveName {
		return nil, errors.New("its name is not a valid path")
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "..":
			return nil, errors.New("its name is outside the tree")
		case "", ".":
		default:
			parts = append(parts, part)
		}
	}
	return parts, nil
}

// place puts an entry into the tree, with its parent folders.
func (l *archiveLoader) place(parts []string, e *archiveEntry) error {
	folder := l.above
	for _, name := range parts[:len(parts)-1] {
		next := folder.children[name]
		if next == nil {
			next = &archiveEntry{kind: archiveFolder}
			if err := l.insert(folder, name, next); err != nil {
				return err
			}
		}
		if next.kind != archiveFolder {
			return fmt.Errorf("its parent %s is not a folder", shortQuote(name))
		}
		folder = next
	}
	name := parts[len(parts)-1]
	if was := folder.children[name]; was != nil {
		if was.declared || was.kind != e.kind {
			return errors.New("it is in the archive twice")
		}
		was.declared = true // the folder is listed after its contents
		return nil
	}
	return l.insert(folder, name, e)
}

func (l *archiveLoader) insert(folder *archiveEntry, name string, e *archiveEntry) error {
	if l.Entries++; l.Entries > l.limits.Entries {
		return errors.New("the archive's entries exceed the limit")
	}
	if folder.children == nil {
		folder.children = map[string]*archiveEntry{}
	}
	folder.children[name] = e
	return nil
}

// A pointer is in the place of a file, and is shorter than 1024 bytes:
// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
const (
	lfsPointer    = "version https://git-lfs.github.com/spec/v1\n"
	maxLFSPointer = 1024
)

// store writes a file into the temporary file.
func (l *archiveLoader) store(parts []string, e *archiveEntry, size int64, content io.Reader) error {
	e.offset = l.offset
	if size > l.limits.Bytes-l.offset { // a sparse file is larger than its data in the tar
		return errTooLarge(l.limits.Bytes)
	}
	if size < maxLFSPointer {
		small := make([]byte, size)
		if _, err := io.ReadFull(content, small); err != nil {
			return err
		}
		if bytes.HasPrefix(small, []byte(lfsPointer)) {
			l.lfs = append(l.lfs, path.Join(parts[1:]...))
		}
		content = bytes.NewReader(small)
	}
	n, err := io.Copy(l.out, content)
	if err != nil {
		return err
	}
	if n != size {
		return io.ErrUnexpectedEOF
	}
	e.size = n
	l.offset += n
	l.Size += n
	return nil
}

var exportSubst = lazyregexp.New(`(?m)^[ \t]*[^# \t\r\n][^\r\n]*[ \t]export-subst(?:[ \t\r]|$)`)

// inspect finds the reasons why an archive may differ from its repository.
func (a *Archive) inspect() error {
	if _, err := a.Lstat(".gitmodules"); err == nil {
		a.Lacks = append(a.Lacks, "submodules (.gitmodules)")
	}
	return a.root.walk("", func(name string, e *archiveEntry) error {
		if path.Base(name) != ".gitattributes" || e.kind == archiveFolder || e.kind == archiveLink || e.size > maxGitFile {
			return nil
		}
		text, err := io.ReadAll(a.section(e))
		if err == nil && exportSubst().Match(text) {
			a.ExportSubst = append(a.ExportSubst, name)
		}
		return err
	})
}

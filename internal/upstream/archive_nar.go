package upstream

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
)

// narHash is the SRI sha256 of the tree's NAR.
// https://nix.dev/manual/nix/latest/protocols/nix-archive
func (a *Archive) narHash() (string, error) {
	sum := sha256.New()
	w := &narWriter{Writer: bufio.NewWriterSize(sum, 64<<10), archive: a}
	w.strings("nix-archive-1")
	if err := w.entry(a.root); err != nil {
		return "", err
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return "sha256-" + base64.StdEncoding.EncodeToString(sum.Sum(nil)), nil
}

// narWriter keeps the first error, as bufio.Writer does.
type narWriter struct {
	*bufio.Writer
	archive *Archive
}

func (w *narWriter) entry(e *archiveEntry) error {
	w.strings("(", "type")
	switch e.kind {
	case archiveLink:
		w.strings("symlink", "target", e.target)
	case archiveFolder:
		w.strings("directory")
		for _, name := range e.sorted() {
			w.strings("entry", "(", "name", name, "node")
			if err := w.entry(e.children[name]); err != nil {
				return err
			}
			w.strings(")")
		}
	default:
		w.strings("regular")
		if e.kind == archiveExecutable {
			w.strings("executable", "")
		}
		w.strings("contents")
		w.length(e.size)
		if _, err := io.Copy(w.Writer, w.archive.section(e)); err != nil {
			return err
		}
		w.pad(e.size)
	}
	w.strings(")")
	return nil
}

func (w *narWriter) strings(all ...string) {
	for _, s := range all {
		w.length(int64(len(s)))
		w.WriteString(s)
		w.pad(int64(len(s)))
	}
}

func (w *narWriter) length(n int64) {
	w.Write(binary.LittleEndian.AppendUint64(w.AvailableBuffer(), uint64(n)))
}

// pad fills up to a multiple of 8.
func (w *narWriter) pad(n int64) {
	var zero [8]byte
	w.Write(zero[:-n&7])
}

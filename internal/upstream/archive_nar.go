package upstream

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"io"

	"github.com/nix-community/go-nix/pkg/wire"
)

// narHash returns the SRI sha256 of the tree's NAR. It uses only go-nix's encoding, because
// nar.Writer refuses names that begin with two dots.
// https://nix.dev/manual/nix/latest/protocols/nix-archive
func (a *Archive) narHash() (string, error) {
	sum := sha256.New()
	w := &narWriter{bufio.NewWriter(sum), make([]byte, 64<<10)}
	w.strings("nix-archive-1")
	if err := w.entry(a, a.root); err != nil {
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
	buffer []byte // of a file's content; larger than the Writer's buffer, which then copies nothing
}

// entry writes an entry and everything below it.
func (w *narWriter) entry(a *Archive, e *archiveEntry) error {
	w.strings("(", "type")
	switch e.kind {
	case archiveLink:
		w.strings("symlink", "target", e.target)
	case archiveFolder:
		w.strings("directory")
		for _, name := range e.sorted() {
			w.strings("entry", "(", "name", name, "node")
			if err := w.entry(a, e.children[name]); err != nil {
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
		content, err := wire.NewBytesWriter(w, uint64(e.size))
		if err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if _, err := io.CopyBuffer(content, a.section(e), w.buffer); err != nil {
			return err
		}
		if err := content.Close(); err != nil {
			return err
		}
	}
	w.strings(")")
	return nil
}

func (w *narWriter) strings(all ...string) {
	for _, s := range all {
		_ = wire.WriteString(w, s) // Flush returns the error
	}
}

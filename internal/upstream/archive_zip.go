package upstream

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"os"
)

// zipAsTar converts a zip to a tar. limit is the largest size of the zip in bytes. It writes
// the zip to an unnamed file first, because a zip has its list of entries at the end.
func zipAsTar(content io.Reader, limit int64) (io.ReadCloser, error) {
	spool, err := os.CreateTemp("", "libre-zip-")
	if err != nil {
		return nil, err
	}
	os.Remove(spool.Name())
	size, err := io.Copy(struct{ io.Writer }{spool}, &limitedReader{content, limit, limit})
	var packed *zip.Reader
	if err == nil {
		packed, err = zip.NewReader(spool, size)
	}
	if err != nil {
		spool.Close()
		return nil, err
	}
	plain, to := io.Pipe()
	go func() {
		defer spool.Close()
		w := tar.NewWriter(to)
		for _, entry := range packed.File {
			if err := tarEntry(w, entry); err != nil {
				to.CloseWithError(err)
				return
			}
		}
		to.CloseWithError(w.Close())
	}()
	return plain, nil
}

// tarEntry writes one entry of a zip to a tar.
func tarEntry(w *tar.Writer, entry *zip.File) error {
	header := &tar.Header{Name: entry.Name, Mode: int64(entry.Mode().Perm()), ModTime: entry.Modified, Format: tar.FormatPAX}
	if entry.Mode().IsDir() {
		header.Typeflag = tar.TypeDir
		return w.WriteHeader(header)
	}
	content, err := entry.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	if entry.Mode()&fs.ModeSymlink != 0 {
		var target bytes.Buffer
		if _, err := io.Copy(&target, io.LimitReader(content, maxArchiveName+1)); err != nil {
			return err
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, target.String()
		return w.WriteHeader(header)
	}
	header.Typeflag, header.Size = tar.TypeReg, int64(entry.UncompressedSize64)
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return err
}

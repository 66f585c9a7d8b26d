package scan

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/klauspost/compress/zstd"

	"github.com/libresh/libre/internal/fault"
)

// mostDatabase is the largest size of a database in bytes, about ten times that of grype's.
const mostDatabase = 16 << 30

// unpackFile writes the database in a source's file: the file itself, or vulnerability.db in a
// tarball, plain or compressed by gzip or Zstandard.
func unpackFile(source, file, into string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	database, done, err := databaseIn(bufio.NewReaderSize(f, 1<<20))
	if err == nil {
		defer done()
		err = writeDatabase(into, database)
	}
	if err != nil {
		return &fault.Fault{Doing: "unpacking the vulnerability database " + publicSource(source), Err: err, Fix: "download it again: it is a .db, .tar, .tar.gz or .tar.zst of grype's schema 6"}
	}
	return nil
}

// databaseIn finds the database. It recognises each format by its first bytes.
func databaseIn(in *bufio.Reader) (database io.Reader, done func(), err error) {
	done = func() {}
	begins := func(magic string) bool {
		head, _ := in.Peek(len(magic))
		return bytes.Equal(head, []byte(magic))
	}
	switch {
	case begins("SQLite format 3\x00"):
		return in, done, nil
	case begins("\x28\xb5\x2f\xfd"):
		d, err := zstd.NewReader(in, zstd.WithDecoderMaxMemory(512<<20))
		if err != nil {
			return nil, nil, err
		}
		in, done = bufio.NewReader(d), d.Close
	case begins("\x1f\x8b"):
		d, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, err
		}
		in = bufio.NewReader(d)
	}
	archive := tar.NewReader(in)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			err = errors.New("it has no " + fileName)
		}
		if err != nil {
			done()
			return nil, nil, err
		}
		if header.Typeflag == tar.TypeReg && path.Base(header.Name) == fileName {
			return archive, done, nil
		}
	}
}

func writeDatabase(into string, database io.Reader) error {
	f, err := os.OpenFile(into, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(f, io.LimitReader(database, mostDatabase+1))
	if err != nil {
		return err
	}
	if n > mostDatabase {
		return fmt.Errorf("it is larger than %d bytes", int64(mostDatabase))
	}
	return f.Close()
}

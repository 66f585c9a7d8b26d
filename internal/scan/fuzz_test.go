package scan

import (
	"bufio"
	"bytes"
	"io"
	"net/url"
	"testing"
)

// FuzzDatabaseIn reads files that a user names as a database or an archive of one.
func FuzzDatabaseIn(f *testing.F) {
	f.Add([]byte("SQLite format 3\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		database, done, err := databaseIn(bufio.NewReader(bytes.NewReader(file)))
		if err != nil {
			return
		}
		defer done()
		_, _ = io.Copy(io.Discard, io.LimitReader(database, 1<<20))
	})
}

// FuzzListing reads a server's listings. An accepted listing has a checksum, and an archive on
// the same server.
func FuzzListing(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		newest, err := readListing(text)
		if err != nil {
			return
		}
		if !sha256Checksum().MatchString(newest.Checksum) || newest.Path == "" {
			t.Errorf("accepted %+v", newest)
		}
		base := &url.URL{Scheme: "https", Host: "mirror.example", Path: "/databases/v6/latest.json"}
		if archive := archiveOf(base, newest.Path); archive.Host != base.Host || archive.Scheme != base.Scheme {
			t.Errorf("%q leads to %s", newest.Path, archive)
		}
	})
}

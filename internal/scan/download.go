package scan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/web"
)

// Limits in bytes of a server's answers, several times the size of grype's.
const (
	mostListing = 1 << 20
	mostArchive = 2 << 30
)

// listing is the latest.json of a distribution.
// https://oss.anchore.com/docs/reference/grype/database/
type listing struct {
	Status        string    `json:"status"`        // active, deprecated or eol
	SchemaVersion string    `json:"schemaVersion"` // v6.1.10
	Built         time.Time `json:"built"`
	Path          string    `json:"path"`     // of the archive, relative to the listing
	Checksum      string    `json:"checksum"` // sha256:BASE16
}

var (
	sha256Checksum = lazyregexp.New(`^sha256:[0-9a-f]{64}$`)
	schema6        = lazyregexp.New(`^v?6(\.|$)`)
)

// openURL returns the database at an address. If the server does not answer, it returns the
// stored database, until that is too old.
func (s *Store) openURL(ctx context.Context, source string) (*Opened, error) {
	u, err := url.Parse(source)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, &fault.Fault{Kind: fault.Usage, Err: errors.New("the address of the vulnerability database is not valid"), Fix: "give https://HOST/PATH"}
	}
	if u.Scheme == "http" && !web.IsLoopback(u.Host) {
		return nil, &fault.Fault{Kind: fault.Usage, Err: fmt.Errorf("%s is not encrypted: anybody on the way could hide vulnerabilities", publicSource(source)), Fix: "use https://, or download the file and give its name"}
	}
	is, have := s.kept(source)
	if have && s.Now().Sub(is.Checked) < checkEvery && s.checkAge(is.Database) == nil {
		return is.opened(s.Dir), nil
	}
	opened, err := s.update(ctx, source, u, is, have)
	if err == nil || !have || s.checkAge(is.Database) != nil || ctx.Err() != nil {
		return opened, err
	}
	s.Note("%v: using the database of %s", err, is.Built.Format(time.DateOnly))
	return is.opened(s.Dir), nil
}

// update asks the source for its newest database, and downloads it if the store lacks it.
func (s *Store) update(ctx context.Context, source string, u *url.URL, is kept, have bool) (*Opened, error) {
	archive, checksum := u, ""
	if isListing(u) {
		newest, err := s.newest(ctx, listingOf(u))
		if err != nil {
			return nil, err
		}
		if archive, checksum = archiveOf(listingOf(u), newest.Path), newest.Checksum; have && is.Key == checksum {
			is.Checked = s.Now()
			return is.opened(s.Dir), s.write(source, is)
		}
		s.Note("downloading the vulnerability database of %s from %s", newest.Built.Format(time.DateOnly), archive.Host)
	}
	return s.keep(ctx, source, checksum, func(dir string) error {
		file := filepath.Join(dir, "archive")
		if err := s.download(ctx, archive, checksum, file); err != nil {
			return err
		}
		defer os.Remove(file)
		return unpackFile(source, file, filepath.Join(dir, fileName))
	})
}

// isListing distinguishes listings and folders from archives and databases, by their names.
func isListing(u *url.URL) bool {
	for _, ending := range []string{".db", ".tar", ".zst", ".gz", ".tgz"} {
		if strings.HasSuffix(u.Path, ending) {
			return false
		}
	}
	return true
}

// listingOf returns the address of the listing in a folder, as grype does.
func listingOf(u *url.URL) *url.URL {
	if strings.HasSuffix(u.Path, ".json") {
		return u
	}
	return u.JoinPath("v6", "latest.json")
}

// archiveOf returns the address of an archive beside its listing.
func archiveOf(listing *url.URL, name string) *url.URL {
	u := *listing
	u.Path = path.Join(path.Dir(listing.Path), path.Clean("/"+name))
	return &u
}

func (s *Store) newest(ctx context.Context, u *url.URL) (*listing, error) {
	fail := func(err error) (*listing, error) {
		return nil, &fault.Fault{Doing: "reading " + publicSource(u.String()), Err: err, Fix: "give another database with --db"}
	}
	body, err := s.get(ctx, u)
	if err != nil {
		return fail(err)
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, mostListing))
	if err != nil {
		return fail(err)
	}
	newest, err := readListing(text)
	if err != nil {
		return fail(err)
	}
	if newest.Status == "eol" || newest.Status == "deprecated" {
		s.Note("grype stops maintaining databases of schema 6 (status: %s): update libre", newest.Status)
	}
	return newest, nil
}

// readListing reads and checks a listing.
func readListing(text []byte) (*listing, error) {
	var newest listing
	if err := json.Unmarshal(text, &newest); err != nil {
		return nil, errors.New("it is not the listing of a vulnerability database")
	}
	switch {
	case !schema6().MatchString(newest.SchemaVersion):
		return nil, fmt.Errorf("the database has the schema %.20q, and libre reads schema 6", newest.SchemaVersion)
	case !sha256Checksum().MatchString(newest.Checksum):
		return nil, errors.New("it has no SHA-256 checksum of the database")
	case newest.Path == "":
		return nil, errors.New("it names no archive")
	}
	return &newest, nil
}

// download writes a server's answer into a file. checksum may be empty.
func (s *Store) download(ctx context.Context, u *url.URL, checksum, file string) error {
	fail := func(err error) error {
		return &fault.Fault{Doing: "downloading " + publicSource(u.String()), Err: err, Fix: "run the same command again, or give another database with --db"}
	}
	body, err := s.get(ctx, u)
	if err != nil {
		return fail(err)
	}
	defer body.Close()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(body, mostArchive+1))
	switch {
	case err != nil:
		return fail(web.WithoutURL(err))
	case n > mostArchive:
		return fail(fmt.Errorf("it is larger than %d bytes", mostArchive))
	case checksum != "" && "sha256:"+hex.EncodeToString(sum.Sum(nil)) != checksum:
		return fail(errors.New("its checksum is not that of the listing"))
	}
	return f.Close()
}

func (s *Store) get(ctx context.Context, u *url.URL) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, web.WithoutURL(err)
	}
	response, err := (&http.Client{Transport: s.Transport}).Do(request)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Unreachable, Err: web.WithoutURL(err)}
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("the server answers %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	return response.Body, nil
}

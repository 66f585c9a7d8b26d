package scan

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/private"
)

const (
	// Distribution is where grype's databases are published.
	Distribution = "https://grype.anchore.io/databases"
	// DefaultMaxAge is the greatest age of a database, as in grype.
	DefaultMaxAge = 5 * 24 * time.Hour

	// checkEvery is how long a database is used before the server is asked for a newer one, as in
	// grype.
	checkEvery = 2 * time.Hour
	fileName   = "vulnerability.db"

	folderPattern = "database-*" // of the store's folders
)

// Store keeps databases in a folder.
type Store struct {
	Dir       string // in the cache; made when needed
	Matcher   *Matcher
	Transport http.RoundTripper
	MaxAge    time.Duration // 0: DefaultMaxAge
	Now       func() time.Time
	Note      func(format string, args ...any) // reports slow work, and errors that do not stop a scan
}

// Opened is a database that is ready to be searched.
type Opened struct {
	Database
	dir string
}

// kept describes a source's database in the store. It is written last, so a folder without a
// description was left by a killed run.
type kept struct {
	Database
	Folder  string    // below the store's folder
	Key     string    // of its content: the archive's checksum, or the file's path, size and time
	Size    int64     // of vulnerability.db
	Checked time.Time // when the source was last asked
}

// Open returns the database of a source, which is one of:
//   - a folder with vulnerability.db, which is read in place;
//   - a file: a database, or an archive of one;
//   - an https:// address of a file, of a listing (…/latest.json), or of the folder that has
//     v6/latest.json;
//   - "", which means Distribution.
//
// It asks a server at most once in two hours. If the database is missing, broken, of another
// schema, or older than MaxAge, it returns an error of one line.
func (s *Store) Open(ctx context.Context, source string) (*Opened, error) {
	if source == "" {
		source = Distribution
	}
	opened, err := s.open(ctx, source)
	if err != nil {
		return nil, err
	}
	if err := s.checkAge(opened.Database); err != nil {
		return nil, err
	}
	return opened, nil
}

func (s *Store) open(ctx context.Context, source string) (*Opened, error) {
	if strings.Contains(source, "://") {
		return s.openURL(ctx, source)
	}
	path, err := filepath.Abs(source)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &fault.Fault{Kind: fault.NotFound, Err: fmt.Errorf("the vulnerability database %s does not exist", source), Fix: "give --db a folder, a file or an https:// address"}
	} else if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return s.openFolder(ctx, path)
	}
	if !info.Mode().IsRegular() {
		return nil, &fault.Fault{Kind: fault.Usage, Err: fmt.Errorf("%s is neither a folder nor a file", source), Fix: "give --db a folder, a file or an https:// address"}
	}
	key := fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano())
	if is, ok := s.kept(path); ok && is.Key == key {
		return is.opened(s.Dir), nil
	}
	return s.keep(ctx, path, key, func(dir string) error { return unpackFile(path, path, filepath.Join(dir, fileName)) })
}

// openFolder reads the database of a folder in place. grype's own cache has it in a subfolder
// with the schema's name.
func (s *Store) openFolder(ctx context.Context, dir string) (*Opened, error) {
	if _, err := os.Stat(filepath.Join(dir, fileName)); err != nil {
		if _, err := os.Stat(filepath.Join(dir, "6", fileName)); err == nil {
			dir = filepath.Join(dir, "6")
		}
	}
	is, err := s.Matcher.describe(ctx, dir, dir, false)
	if err != nil {
		return nil, unreadable(err)
	}
	is.From = dir
	return &Opened{is, dir}, nil
}

func unreadable(err error) error {
	return &fault.Fault{Err: err, Fix: "give another with --db; grype's schema 6 is needed"}
}

// kept returns the description of a source's database in the store, if the database is
// complete.
func (s *Store) kept(source string) (is kept, ok bool) {
	text, err := os.ReadFile(s.indexOf(source))
	if err != nil || json.Unmarshal(text, &is) != nil || is.Folder != filepath.Base(is.Folder) {
		return kept{}, false
	}
	info, err := os.Stat(filepath.Join(s.Dir, is.Folder, fileName))
	private.MarkUsed(s.indexOf(source))
	return is, err == nil && info.Size() == is.Size
}

// Has reports whether the store has the database of a source, regardless of its age.
func (s *Store) Has(source string) bool {
	_, ok := s.kept(source)
	return ok
}

func (k *kept) opened(dir string) *Opened { return &Opened{k.Database, filepath.Join(dir, k.Folder)} }

func (s *Store) indexOf(source string) string {
	return filepath.Join(s.Dir, fmt.Sprintf("%x.json", sha256.Sum256([]byte(source))))
}

// keep adds a database to the store. write must write vulnerability.db into the given folder.
func (s *Store) keep(ctx context.Context, source, key string, write func(dir string) error) (*Opened, error) {
	if err := private.Folder(s.Dir); err != nil {
		return nil, err
	}
	s.sweep()
	dir, err := os.MkdirTemp(s.Dir, folderPattern)
	if err != nil {
		return nil, err
	}
	is := kept{Folder: filepath.Base(dir), Key: key, Checked: s.Now()}
	if err = write(dir); err == nil {
		if is.Database, err = s.Matcher.describe(ctx, source, dir, true); err != nil {
			err = unreadable(err)
		}
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(filepath.Join(dir, fileName))
	}
	if err == nil {
		is.Size, is.From = info.Size(), publicSource(source)
		err = s.write(source, is)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return is.opened(s.Dir), nil
}

// unused is how long a replaced database, or one that a killed run left, is kept, because
// another run may be about to read it.
const unused = 24 * time.Hour

// sweep removes unused databases.
func (s *Store) sweep() {
	for _, folder := range s.unused(time.Now().Add(-unused)) {
		os.RemoveAll(folder)
	}
}

// unused lists the folders without an index that were made before a time.
func (s *Store) unused(before time.Time) (folders []string) {
	used := map[string]bool{}
	indexes, _ := filepath.Glob(filepath.Join(s.Dir, "*.json"))
	for _, index := range indexes {
		var is kept
		if text, err := os.ReadFile(index); err == nil && json.Unmarshal(text, &is) == nil {
			used[is.Folder] = true
		}
	}
	all, _ := filepath.Glob(filepath.Join(s.Dir, folderPattern))
	for _, folder := range all {
		if info, err := os.Lstat(folder); err == nil && !used[filepath.Base(folder)] && info.ModTime().Before(before) {
			folders = append(folders, folder)
		}
	}
	return folders
}

// Stale lists the files and folders of databases that were last searched before a time. The
// index of each database comes before its folder.
func (s *Store) Stale(before time.Time) []string {
	var stale []string
	indexes, _ := filepath.Glob(filepath.Join(s.Dir, "*.json"))
	for _, index := range indexes {
		info, err := os.Lstat(index)
		if err != nil || !info.ModTime().Before(before) {
			continue
		}
		stale = append(stale, index)
		var is kept
		if text, err := os.ReadFile(index); err != nil || json.Unmarshal(text, &is) != nil {
			continue
		}
		if ours, _ := filepath.Match(folderPattern, is.Folder); ours {
			stale = append(stale, filepath.Join(s.Dir, is.Folder))
		}
	}
	return append(stale, s.unused(before)...)
}

func (s *Store) write(source string, is kept) error {
	text, err := json.Marshal(is)
	if err != nil {
		return err
	}
	return atomicfile.Write(s.indexOf(source), text, 0o600)
}

// Age returns how long ago a database was built.
func (d Database) Age(now time.Time) time.Duration { return max(now.Sub(d.Built), 0) }

func (s *Store) maxAge() time.Duration {
	if s.MaxAge == 0 {
		return DefaultMaxAge
	}
	return s.MaxAge
}

// clockSkew is the accepted difference between our clock and that of the database's builder.
const clockSkew = 24 * time.Hour

func (s *Store) checkAge(is Database) error {
	if is.Built.After(s.Now().Add(clockSkew)) {
		return &fault.Fault{
			Err: fmt.Errorf("the vulnerability database of %s was built in the future, on %s: its age is not known", publicSource(is.From), is.Built.Format(time.DateOnly)),
			Fix: "check the clock of this machine, or give another with --db",
		}
	}
	if age := is.Age(s.Now()); age > s.maxAge() {
		return &fault.Fault{
			Err: fmt.Errorf("the vulnerability database of %s is too old: it was built %s ago, on %s", publicSource(is.From), days(age), is.Built.Format(time.DateOnly)),
			Fix: "give a newer one with --db, or raise scan.maxAge in libre.yaml (now " + days(s.maxAge()) + ")",
		}
	}
	return nil
}

// days returns an age in words.
func days(age time.Duration) string {
	switch n := int(age / (24 * time.Hour)); {
	case n == 1:
		return "1 day"
	case n > 1:
		return fmt.Sprintf("%d days", n)
	}
	if n := int(age / time.Hour); n != 1 {
		return fmt.Sprintf("%d hours", n)
	}
	return "1 hour"
}

// publicSource returns an address without its login and query.
func publicSource(source string) string {
	if u, err := url.Parse(source); err == nil && u.Host != "" {
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		return u.String()
	}
	return source
}

// Describe returns the date of a database in words.
func (d Database) Describe(now time.Time) string {
	return fmt.Sprintf("vulnerability database of %s, %s old, from %s", d.Built.Format(time.DateOnly), days(d.Age(now)), publicSource(d.From))
}

package objects

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rclone/gofakes3"
)

func open(t *testing.T, dir string, versioning bool) *Store {
	t.Helper()
	s, err := Open(dir, "files", versioning)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *Store, key, text string) gofakes3.VersionID {
	t.Helper()
	result, err := s.PutObject(t.Context(), "files", key, map[string]string{"Content-Type": "text/plain"}, strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return result.VersionID
}

func read(t *testing.T, object *gofakes3.Object, err error) string {
	t.Helper()
	if err != nil {
		return string(gofakes3.ErrorResultFromError(err).Code)
	}
	defer object.Contents.Close()
	content, err := io.ReadAll(object.Contents)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func get(t *testing.T, s *Store, key string) string {
	t.Helper()
	object, err := s.GetObject(t.Context(), "files", key, nil)
	return read(t, object, err)
}

// files are how many the store has.
func files(t *testing.T, dir string) int {
	t.Helper()
	all, err := os.ReadDir(filepath.Join(dir, "content"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestObjectsAreReplacedAndDeleted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, false)
	put(t, s, "page", "first")
	put(t, s, "page", "second")
	if got := get(t, s, "page"); got != "second" || files(t, dir) != 1 {
		t.Errorf("%s, %d files", got, files(t, dir))
	}
	if _, err := s.CopyObject(t.Context(), "files", "page", "files", "copy", nil); err != nil {
		t.Fatal(err)
	}
	object, err := s.GetObject(t.Context(), "files", "copy", &gofakes3.ObjectRangeRequest{Start: 1, End: 3})
	if got := read(t, object, err); got != "eco" {
		t.Errorf("a range: %s", got)
	}
	for _, key := range []string{"page", "page", "never"} {
		if _, err := s.DeleteObject(t.Context(), "files", key); err != nil {
			t.Errorf("deleting %s: %v", key, err)
		}
	}
	if got := get(t, s, "page"); got != "NoSuchKey" || files(t, dir) != 1 {
		t.Errorf("after it was deleted: %s, %d files", got, files(t, dir))
	}
	if got := get(t, s, "copy"); got != "second" {
		t.Errorf("the copy: %s", got)
	}
	if _, err := s.GetObject(t.Context(), "another", "page", nil); !gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchBucket) {
		t.Errorf("another bucket: %v", err)
	}
}

// An upload that is cut off changes nothing, and leaves nothing behind; neither does one that
// was cut off by the end of the program.
func TestUploadThatIsCutOffLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, false)
	put(t, s, "page", "first")
	for name, input := range map[string]io.Reader{
		"short":  strings.NewReader("sec"),
		"failed": io.MultiReader(strings.NewReader("sec"), failing{}),
	} {
		if _, err := s.PutObject(t.Context(), "files", "page", nil, input, 6); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := s.PutObject(t.Context(), "files", "a\x00b", nil, strings.NewReader(""), 0); err == nil {
		t.Error("a key with a zero byte is stored")
	}
	if got := get(t, s, "page"); got != "first" || files(t, dir) != 1 {
		t.Errorf("%s, %d files", got, files(t, dir))
	}
	s.Close()
	if err := os.WriteFile(filepath.Join(dir, "content", "half"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s = open(t, dir, false); get(t, s, "page") != "first" || files(t, dir) != 1 {
		t.Errorf("opened again: %s, %d files", get(t, s, "page"), files(t, dir))
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the connection is gone") }

// Keys are listed in the order of their bytes, on pages of any size, each once.
func TestList(t *testing.T) {
	s := open(t, t.TempDir(), true)
	for _, key := range []string{"b", "a/2", "a/1", "ab", "a", "é/x", "a/b/c", "gone"} {
		put(t, s, key, key)
	}
	put(t, s, "a/1", "again")
	if _, err := s.DeleteObject(t.Context(), "files", "gone"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ prefix, delimiter, want string }{
		{"", "", "a a/1 a/2 a/b/c ab b é/x"},
		{"a", "", "a a/1 a/2 a/b/c ab"},
		{"a/", "", "a/1 a/2 a/b/c"},
		{"", "/", "a a/* ab b é/*"},
		{"a/", "/", "a/1 a/2 a/b/*"},
		{"z", "/", ""},
	} {
		prefix := gofakes3.Prefix{HasPrefix: c.prefix != "", Prefix: c.prefix, HasDelimiter: c.delimiter != "", Delimiter: c.delimiter}
		for size := range int64(9) { // 0 is no limit
			if got := listed(t, s, prefix, size); got != c.want {
				t.Errorf("prefix %q, delimiter %q, %d on a page: %s, want %s", c.prefix, c.delimiter, size, got, c.want)
			}
		}
	}
}

// listed are the keys, and folders with a star, of all pages in the order of names.
func listed(t *testing.T, s *Store, prefix gofakes3.Prefix, size int64) string {
	t.Helper()
	var all []string
	page := gofakes3.ListBucketPage{MaxKeys: size}
	for range 20 {
		list, err := s.ListBucket(t.Context(), "files", &prefix, page)
		if err != nil {
			t.Fatal(err)
		}
		folders := list.CommonPrefixes
		for _, content := range list.Contents {
			for len(folders) > 0 && folders[0].Prefix < content.Key {
				all, folders = append(all, folders[0].Prefix+"*"), folders[1:]
			}
			all = append(all, content.Key)
		}
		for _, folder := range folders {
			all = append(all, folder.Prefix+"*")
		}
		if count := int64(len(list.Contents) + len(list.CommonPrefixes)); size > 0 && (count > size || list.IsTruncated && count != size) {
			t.Errorf("%d on a page of %d", count, size)
		}
		if !list.IsTruncated {
			break
		}
		page.Marker, page.HasMarker = list.NextMarker, true
	}
	return strings.Join(all, " ")
}

func TestVersions(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, false)
	if version := put(t, s, "page", "before"); version != "" {
		t.Errorf("without versioning, the version is %s", version)
	}
	set := func(status gofakes3.VersioningStatus) {
		if err := s.SetVersioningConfiguration("files", gofakes3.VersioningConfiguration{Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	set(gofakes3.VersioningEnabled)
	second := put(t, s, "page", "second")
	put(t, s, "page", "third")
	put(t, s, "other", "x")
	deleted, err := s.DeleteObject(t.Context(), "files", "page")
	if err != nil || !deleted.IsDeleteMarker || get(t, s, "page") != "NoSuchKey" {
		t.Errorf("deleting: %+v, %v, %s", deleted, err, get(t, s, "page"))
	}
	want := "other:x! page:-! page:third page:second page:before"
	for size := range int64(6) {
		if got := versions(t, s, size); got != want {
			t.Errorf("%d on a page: %s, want %s", size, got, want)
		}
	}
	if object, err := s.GetObjectVersion("files", "page", second, nil); read(t, object, err) != "second" {
		t.Errorf("the second version: %v", err)
	}
	if object, err := s.GetObjectVersion("files", "page", "unknown", nil); read(t, object, err) != "NoSuchVersion" {
		t.Errorf("an unknown version: %v", err)
	}
	for _, version := range []gofakes3.VersionID{deleted.VersionID, second, "unknown"} {
		if _, err := s.DeleteObjectVersion("files", "page", version); err != nil {
			t.Error(err)
		}
	}
	if got := get(t, s, "page"); got != "third" {
		t.Errorf("without the mark: %s", got)
	}
	set(gofakes3.VersioningSuspended)
	put(t, s, "page", "null") // replaces what has no version
	if got, want := versions(t, s, 1), "other:x! page:null! page:third"; got != want || files(t, dir) != 3 {
		t.Errorf("%s, want %s; %d files", got, want, files(t, dir))
	}
}

// versions are KEY:CONTENT, of marks KEY:-, with ! for the latest.
func versions(t *testing.T, s *Store, size int64) string {
	t.Helper()
	var all []string
	page := gofakes3.ListBucketVersionsPage{MaxKeys: size}
	for range 20 {
		list, err := s.ListBucketVersions("files", nil, &page)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range list.Versions {
			switch v := item.(type) {
			case *gofakes3.DeleteMarker:
				all = append(all, v.Key+":-"+map[bool]string{true: "!"}[v.IsLatest])
			case *gofakes3.Version:
				object, err := s.GetObjectVersion("files", v.Key, v.VersionID, nil)
				all = append(all, fmt.Sprintf("%s:%s%s", v.Key, read(t, object, err), map[bool]string{true: "!"}[v.IsLatest]))
			}
		}
		if !list.IsTruncated {
			break
		}
		page.KeyMarker, page.HasKeyMarker, page.VersionIDMarker, page.HasVersionIDMarker = list.NextKeyMarker, true, list.NextVersionIDMarker, true
	}
	return strings.Join(all, " ")
}

func TestTags(t *testing.T) {
	s := open(t, t.TempDir(), false)
	put(t, s, "page", "x")
	for _, tags := range []string{"city=lyon", ""} {
		if err := s.SetObjectTagging(t.Context(), "files", "page", tags); err != nil {
			t.Fatal(err)
		}
		object, err := s.HeadObject(t.Context(), "files", "page")
		if err != nil || object.Metadata[gofakes3.TaggingMetadataKey] != tags || object.Metadata["Content-Type"] != "text/plain" {
			t.Errorf("%+v, %v", object, err)
		}
	}
}

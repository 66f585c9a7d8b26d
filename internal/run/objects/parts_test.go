package objects

import (
	"strings"
	"testing"

	"github.com/rclone/gofakes3"
)

// An object is put together of the parts that the client names, and parts are gone with it, or
// when the upload is given up.
func TestUploadInParts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, false)
	begin := func() gofakes3.UploadID {
		t.Helper()
		id, err := s.CreateMultipartUpload(t.Context(), "files", "film", map[string]string{"Content-Type": "video/webm"})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	part := func(id gofakes3.UploadID, number int, text string) gofakes3.CompletedPart {
		t.Helper()
		tag, err := s.UploadPart(t.Context(), "files", "film", id, number, int64(len(text)), strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return gofakes3.CompletedPart{PartNumber: number, ETag: tag}
	}
	complete := func(id gofakes3.UploadID, parts ...gofakes3.CompletedPart) error {
		_, tag, err := s.CompleteMultipartUpload(t.Context(), "files", "film", id, &gofakes3.CompleteMultipartUploadRequest{Parts: parts})
		if object, missing := s.HeadObject(t.Context(), "files", "film"); err == nil && (missing != nil || etag(object.Hash) != tag || object.Metadata["Content-Type"] != "video/webm") {
			t.Errorf("%+v, %v", object, missing)
		}
		return err
	}
	id := begin()
	third, first := part(id, 3, "third"), part(id, 1, "draft")
	draft := first
	first = part(id, 1, "first ")
	part(id, 2, "which is not wanted")
	for name, wrong := range map[string][]gofakes3.CompletedPart{"draft": {draft, third}, "order": {third, first}, "unknown": {{PartNumber: 4}}} {
		if err := complete(id, wrong...); err == nil || get(t, s, "film") != "NoSuchKey" {
			t.Errorf("%s: %v, %s", name, err, get(t, s, "film"))
		}
	}
	if err := complete(id, first, third); err != nil || get(t, s, "film") != "first third" || files(t, dir) != 1 {
		t.Errorf("%v, %s, %d files", err, get(t, s, "film"), files(t, dir))
	}
	if err := complete(id, first, third); !gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchUpload) {
		t.Errorf("completed twice: %v", err)
	}
	if _, err := s.UploadPart(t.Context(), "files", "film", id, 4, 1, strings.NewReader("x")); !gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchUpload) || files(t, dir) != 1 {
		t.Errorf("a part after the end: %v, %d files", err, files(t, dir))
	}
	given := begin()
	part(given, 1, "x")
	if err := s.AbortMultipartUpload(t.Context(), "files", "film", given); err != nil || files(t, dir) != 1 {
		t.Errorf("given up: %v, %d files", err, files(t, dir))
	}
	part(begin(), 1, "x")
	s.Close()
	if s = open(t, dir, false); get(t, s, "film") != "first third" || files(t, dir) != 1 {
		t.Errorf("opened again: %s, %d files", get(t, s, "film"), files(t, dir))
	}
}

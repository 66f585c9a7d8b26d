package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// fakeStore keeps entries in memory, oldest first. With err set, all it does
// fails.
type fakeStore struct {
	entries []entry
	err     error
}

func (f *fakeStore) List(_ context.Context, before int64, limit int) ([]entry, error) {
	var page []entry
	for i := len(f.entries) - 1; i >= 0 && len(page) < limit; i-- {
		if f.entries[i].ID < before {
			page = append(page, f.entries[i])
		}
	}
	return page, f.err
}

func (f *fakeStore) Add(_ context.Context, n newEntry) (entry, error) {
	if f.err != nil {
		return entry{}, f.err
	}
	id := int64(len(f.entries) + 1)
	e := entry{ID: id, Name: n.Name, Message: n.Message, CreatedAt: time.Unix(id, 0).UTC()}
	f.entries = append(f.entries, e)
	return e, nil
}

func (f *fakeStore) Ready(context.Context) error { return f.err }

func TestAPI(t *testing.T) {
	log.SetOutput(io.Discard)
	const (
		jsonType = "application/json"
		hello    = `{"name":"Ada","message":"Hello"}`
		badBody  = `{"error":"the body is not a JSON object {\"name\": \"…\", \"message\": \"…\"}"}`
	)
	three := func() *fakeStore {
		store := &fakeStore{}
		for i := range 3 {
			store.Add(context.Background(), newEntry{"Ada", fmt.Sprint("m", i+1)})
		}
		return store
	}
	broken := func() *fakeStore { return &fakeStore{err: errors.New("secret detail")} }
	empty := func() *fakeStore { return &fakeStore{} }
	item := func(id int) string {
		return fmt.Sprintf(`{"id":%d,"name":"Ada","message":"m%d","createdAt":"1970-01-01T00:00:0%dZ"}`, id, id, id)
	}

	tests := []struct {
		name, method, target, contentType, body string
		store                                   func() *fakeStore
		status                                  int
		want                                    string
	}{
		{"brand", "GET", "/api/brand", "", "", empty, 200, fmt.Sprintf(`{"color":%q,"name":%q}`, brandColor, brandName)},
		{"health", "GET", "/healthz", "", "", broken, 200, `{"status":"ok"}`},
		{"ready", "GET", "/readyz", "", "", empty, 200, `{"status":"ready"}`},
		{"not ready", "GET", "/readyz", "", "", broken, 503, `{"error":"the database is not ready"}`},
		{"unknown path", "GET", "/api/nothing", "", "", empty, 404, `{"error":"not found"}`},
		{"method", "DELETE", "/api/entries", "", "", empty, 405, `{"error":"method not allowed"}`},

		{"empty list", "GET", "/api/entries", "", "", empty, 200, `{"entries":[],"next":null}`},
		{"list", "GET", "/api/entries", "", "", three, 200, `{"entries":[` + item(3) + `,` + item(2) + `,` + item(1) + `],"next":null}`},
		{"first page", "GET", "/api/entries?limit=2", "", "", three, 200, `{"entries":[` + item(3) + `,` + item(2) + `],"next":2}`},
		{"last page", "GET", "/api/entries?limit=2&before=2", "", "", three, 200, `{"entries":[` + item(1) + `],"next":null}`},
		{"exactly one page", "GET", "/api/entries?limit=3", "", "", three, 200, `{"entries":[` + item(3) + `,` + item(2) + `,` + item(1) + `],"next":null}`},
		{"limit too small", "GET", "/api/entries?limit=0", "", "", three, 400, `{"error":"limit is not a number from 1 to 100","field":"limit"}`},
		{"limit too large", "GET", "/api/entries?limit=101", "", "", three, 400, `{"error":"limit is not a number from 1 to 100","field":"limit"}`},
		{"bad cursor", "GET", "/api/entries?before=x", "", "", three, 400, `{"error":"before is not a number from 1 to 9223372036854775807","field":"before"}`},
		{"list fails", "GET", "/api/entries", "", "", broken, 500, `{"error":"internal error"}`},

		{"add", "POST", "/api/entries", jsonType + "; charset=utf-8", hello, empty, 201, `{"id":1,"name":"Ada","message":"Hello","createdAt":"1970-01-01T00:00:01Z"}`},
		{"add fails", "POST", "/api/entries", jsonType, hello, broken, 500, `{"error":"internal error"}`},
		{"invalid entry", "POST", "/api/entries", jsonType, `{"name":"Ada"}`, empty, 422, `{"error":"message is empty","field":"message"}`},
		{"no JSON", "POST", "/api/entries", jsonType, "name=Ada", empty, 400, badBody},
		{"no body", "POST", "/api/entries", jsonType, "", empty, 400, badBody},
		{"two values", "POST", "/api/entries", jsonType, hello + hello, empty, 400, badBody},
		{"unknown field", "POST", "/api/entries", jsonType, `{"name":"Ada","message":"Hello","id":7}`, empty, 400, badBody},
		{"a form", "POST", "/api/entries", "application/x-www-form-urlencoded", "name=Ada", empty, 415, `{"error":"send application/json"}`},
		{"too large", "POST", "/api/entries", jsonType, `{"name":"` + strings.Repeat("x", maxBody) + `"}`, empty, 413, `{"error":"the body is larger than 32768 bytes"}`},
		{"too large after the value", "POST", "/api/entries", jsonType, hello + strings.Repeat(" ", maxBody), empty, 413, `{"error":"the body is larger than 32768 bytes"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request := httptest.NewRequest(test.method, test.target, strings.NewReader(test.body))
			if test.contentType != "" {
				request.Header.Set("Content-Type", test.contentType)
			}
			recorder := httptest.NewRecorder()
			newAPI(test.store()).ServeHTTP(recorder, request)
			if recorder.Code != test.status {
				t.Errorf("status %d, want %d", recorder.Code, test.status)
			}
			if got := strings.TrimSuffix(recorder.Body.String(), "\n"); got != test.want {
				t.Errorf("body\n%s\nwant\n%s", got, test.want)
			}
			if got := recorder.Header().Get("Content-Type"); got != jsonType {
				t.Errorf("content type %q", got)
			}
			if recorder.Code == http.StatusMethodNotAllowed && recorder.Header().Get("Allow") == "" {
				t.Error("no Allow header")
			}
		})
	}
}

// The longest valid entry, escaped as wastefully as JSON allows, is accepted.
func TestLongestEntryFits(t *testing.T) {
	body := `{"name":"` + strings.Repeat(`\ud83c\udf89`, maxName) + `","message":"` + strings.Repeat(`\ud83c\udf89`, maxMessage) + `"}`
	request := httptest.NewRequest("POST", "/api/entries", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	newAPI(&fakeStore{}).ServeHTTP(recorder, request)
	if recorder.Code != http.StatusCreated {
		t.Errorf("status %d: %s", recorder.Code, recorder.Body)
	}
}

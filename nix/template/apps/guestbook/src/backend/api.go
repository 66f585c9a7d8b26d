package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	defaultLimit = 20
	maxLimit     = 100
	// maxBody fits the longest entry, also where JSON escapes every character
	// as \uXXXX\uXXXX.
	maxBody = 32 << 10
	// readyTimeout is shorter than the second that Kubernetes waits by default.
	readyTimeout = 900 * time.Millisecond
)

// entryStore is what the API needs of a store.
type entryStore interface {
	List(ctx context.Context, before int64, limit int) ([]entry, error)
	Add(ctx context.Context, n newEntry) (entry, error)
	Ready(ctx context.Context) error
}

// newAPI returns the handler of all routes. Every answer is JSON; an error is
// {"error": "…"}, with "field" where one field of the request is wrong.
func newAPI(store entryStore) http.Handler {
	a := &api{store: store}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/brand", a.brand)
	mux.HandleFunc("GET /api/entries", a.listEntries)
	mux.HandleFunc("POST /api/entries", a.addEntry)
	mux.HandleFunc("/api/entries", methodNotAllowed("GET, POST"))
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("GET /readyz", a.ready)
	mux.HandleFunc("/", notFound)
	return mux
}

type api struct {
	store entryStore
}

func (a *api) brand(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"name": brandName, "color": brandColor})
}

// listEntries answers GET /api/entries?limit=20&before=ID with a page of
// entries, newest first. "next" is the value of before for the page that
// follows, null at the end.
func (a *api) listEntries(w http.ResponseWriter, r *http.Request) {
	limit, err := intParam(r.URL.Query(), "limit", defaultLimit, maxLimit)
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	before, err := intParam(r.URL.Query(), "before", math.MaxInt64, math.MaxInt64)
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	// One more than asked for tells whether there is a next page.
	entries, err := a.store.List(r.Context(), before, int(limit)+1)
	if err != nil {
		internalError(w, r, err)
		return
	}
	page := struct {
		Entries []entry `json:"entries"`
		Next    *int64  `json:"next"`
	}{Entries: entries}
	if len(entries) > int(limit) {
		page.Entries = entries[:limit]
		page.Next = &entries[limit-1].ID
	}
	if page.Entries == nil {
		page.Entries = []entry{} // [] in JSON, not null
	}
	writeJSON(w, http.StatusOK, page)
}

// addEntry answers POST /api/entries with the new entry. It insists on JSON's
// media type, which a form on a foreign page cannot send without CORS.
func (a *api) addEntry(w http.ResponseWriter, r *http.Request) {
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		writeError(w, http.StatusUnsupportedMediaType, errors.New("send application/json"))
		return
	}
	sent, err := decodeNewEntry(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		writeError(w, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", tooLarge.Limit))
		return
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, errors.New(`the body is not a JSON object {"name": "…", "message": "…"}`))
		return
	}
	sent, err = sent.clean()
	if err != nil {
		writeError(w, http.StatusUnprocessableEntity, err)
		return
	}
	added, err := a.store.Add(r.Context(), sent)
	if err != nil {
		internalError(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, added)
}

// decodeNewEntry reads one JSON object and nothing after it.
func decodeNewEntry(body io.Reader) (newEntry, error) {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	var n newEntry
	if err := decoder.Decode(&n); err != nil {
		return newEntry{}, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return newEntry{}, errors.Join(errors.New("more than one JSON value"), err)
	}
	return n, nil
}

// health says that the process is up, whatever the state of the database: a
// restart would not mend that.
func (a *api) health(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready says whether requests can be served now. The reason goes to the log,
// since anyone may ask.
func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := a.store.Ready(ctx); err != nil {
		log.Printf("not ready: %s", oneLine(err))
		writeError(w, http.StatusServiceUnavailable, errors.New("the database is not ready"))
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, http.StatusNotFound, errors.New("not found"))
}

func methodNotAllowed(allow string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		writeError(w, http.StatusMethodNotAllowed, errors.New("method not allowed"))
	}
}

// intParam returns a parameter that is a number from 1 to limit, or fallback
// where it is not given.
func intParam(query url.Values, name string, fallback, limit int64) (int64, error) {
	if !query.Has(name) {
		return fallback, nil
	}
	n, err := strconv.ParseInt(query.Get(name), 10, 64)
	if err != nil || n < 1 || n > limit {
		return 0, &fieldError{name, fmt.Sprintf("is not a number from 1 to %d", limit)}
	}
	return n, nil
}

// internalError logs err and tells the client nothing of it. A client that has
// gone away is no error.
func internalError(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		log.Print(oneLine(err))
	}
	writeError(w, http.StatusInternalServerError, errors.New("internal error"))
}

func writeError(w http.ResponseWriter, status int, err error) {
	body := map[string]string{"error": err.Error()}
	if wrong := (*fieldError)(nil); errors.As(err, &wrong) {
		body["field"] = wrong.field
	}
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// An error here means that the client is gone: there is nobody to tell.
	_ = json.NewEncoder(w).Encode(value)
}

package testkit

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Quirks are peculiarities of real registries. The zero value has none.
type Quirks struct {
	Referrers     int    // status instead of the referrers API
	ReferrersType string // its Content-Type
	ReferrersBody string // its answer
	ReferrersPage int    // page size
	ReferrersTo   string // address that it redirects to
	Forgetful     bool   // it lists nothing
	GitLab        bool   // a missing tag sha256-HEX returns the manifest sha256:HEX

	NoDigest    bool   // no Docker-Content-Digest
	WrongDigest bool   // a wrong Docker-Content-Digest
	NoLength    bool   // no size in answers to HEAD
	Head        int    // status instead of an answer to HEAD
	GetType     string // Content-Type of manifests

	RelativeLocation bool
	NoLocation       bool // only the ID of the upload
	Begin            int  // status instead of 202
	Created          int  // status instead of 201
	Mount, Whole     int  // status instead of a mount, and of an upload in one request

	TagsPage int    // page size of the list of tags
	Next     string // prefix of the path in Link, such as http://other.example
	HTTP10   bool   // HTTP/1.0, which ends each connection
	NoV2     bool   // 404 for GET /v2/
}

// Deviations are the registries that libre must work with, each named after its
// peculiarity.
var Deviations = map[string]Quirks{
	"nothing":                        {},
	"referrers 400":                  {Referrers: 400},
	"referrers 401 without a login":  {Referrers: 401},
	"referrers 403":                  {Referrers: 403},
	"referrers 404":                  {Referrers: 404},
	"referrers 405":                  {Referrers: 405},
	"referrers 406":                  {Referrers: 406},
	"referrers 410":                  {Referrers: 410},
	"referrers 501":                  {Referrers: 501},
	"referrers 204":                  {Referrers: 204},
	"referrers a page":               {ReferrersBody: "<html>Welcome</html>", ReferrersType: "text/html"},
	"referrers JSON without a list":  {ReferrersBody: `{"status":"ok"}`},
	"referrers of an older draft":    {ReferrersBody: `{"references":[]}`},
	"referrers null":                 {ReferrersBody: `null`},
	"referrers of another shape":     {ReferrersBody: `{"manifests":"none"}`},
	"referrers sent to a page":       {ReferrersTo: "/sign-in"},
	"referrers sent to itself":       {ReferrersTo: "/loop"},
	"referrers sent elsewhere":       {ReferrersTo: "https://sign-in.invalid/"},
	"referrers application/json":     {ReferrersType: "application/json"},
	"referrers with a charset":       {ReferrersType: "application/vnd.oci.image.index.v1+json; charset=utf-8"},
	"referrers in pages":             {ReferrersPage: 1},
	"referrers in pages elsewhere":   {ReferrersPage: 2, Next: "http://registry.internal:5000"},
	"referrers that lists nothing":   {Forgetful: true},
	"GitLab":                         {Referrers: 404, GitLab: true},
	"GitLab sent to a page":          {ReferrersTo: "/sign-in", GitLab: true},
	"no digest":                      {NoDigest: true},
	"no digest, no API":              {NoDigest: true, Referrers: 404},
	"another digest":                 {WrongDigest: true},
	"no length":                      {NoLength: true},
	"HEAD 400":                       {Head: 400},
	"HEAD 403":                       {Head: 403},
	"HEAD 404":                       {Head: 404},
	"HEAD 405":                       {Head: 405},
	"HEAD 501":                       {Head: 501},
	"manifests application/json":     {GetType: "application/json"},
	"manifests of no type":           {GetType: "-"},
	"manifests with a charset":       {GetType: "application/vnd.oci.image.manifest.v1+json; charset=utf-8"},
	"relative locations":             {RelativeLocation: true},
	"ids in place of locations":      {NoLocation: true},
	"200 for 201":                    {Created: 200},
	"204 for 201":                    {Created: 204},
	"202 for 201":                    {Created: 202},
	"200 for 202":                    {Begin: 200},
	"201 for 202":                    {Begin: 201},
	"no mounts 401":                  {Mount: 401},
	"no mounts 405":                  {Mount: 405},
	"no uploads in one request":      {Whole: 405},
	"uploads in one request 501":     {Whole: 501},
	"tags in pages":                  {TagsPage: 1},
	"tags in pages elsewhere":        {TagsPage: 2, Next: "http://registry.internal:5000"},
	"HTTP/1.0":                       {HTTP10: true},
	"no greeting":                    {NoV2: true},
	"all that GitLab and a proxy do": {Referrers: 405, GitLab: true, NoDigest: true, Head: 405, RelativeLocation: true, Whole: 400, Mount: 403, TagsPage: 1},
	"an old server":                  {Referrers: 404, NoDigest: true, NoLength: true, GetType: "text/plain", Created: 200, Begin: 200, HTTP10: true},
}

var repositoryPath = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs/uploads|blobs|tags|referrers)/(.*)$`)

// Registry returns a registry in memory with the quirks. It has the referrers API, unless a
// quirk removes it.
func (q Quirks) Registry() http.Handler {
	return q.Around(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
}

// Around adds the quirks to a registry.
func (q Quirks) Around(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		if !q.instead(answer, r) {
			q.amend(answer, r, inner)
		}
		if q.HTTP10 {
			send10(w, answer.Result())
			return
		}
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

// instead answers for the registry, and reports whether it did.
func (q Quirks) instead(w http.ResponseWriter, r *http.Request) bool {
	what := repositoryPath.FindStringSubmatch(r.URL.Path)
	status := 0
	switch {
	case r.URL.Path == "/v2/" && q.NoV2:
		status = http.StatusNotFound
	case r.URL.Path == "/loop":
		http.Redirect(w, r, "/loop", http.StatusFound)
		return true
	case r.URL.Path == "/sign-in":
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Sign in</html>")
		return true
	case what == nil:
	case what[2] == "referrers" && q.ReferrersTo != "":
		http.Redirect(w, r, q.ReferrersTo, http.StatusSeeOther)
		return true
	case what[2] == "referrers" && q.ReferrersBody != "":
		w.Header().Set("Content-Type", q.ReferrersType)
		_, _ = io.WriteString(w, q.ReferrersBody)
		return true
	case what[2] == "referrers":
		status = q.Referrers
	case what[2] == "manifests" && r.Method == http.MethodHead:
		status = q.Head
	case r.Method == http.MethodPost && r.URL.Query().Has("mount"):
		status = q.Mount
	case r.Method == http.MethodPost && r.URL.Query().Has("digest"):
		status = q.Whole
	}
	if status != 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			_, _ = io.WriteString(w, `{"errors":[{"code":"UNSUPPORTED","message":"not here"}]}`)
		}
	}
	return status != 0
}

// amend calls the registry, and changes its answer.
func (q Quirks) amend(w *httptest.ResponseRecorder, r *http.Request, inner http.Handler) {
	what := repositoryPath.FindStringSubmatch(r.URL.Path)
	if what == nil {
		inner.ServeHTTP(w, r)
		return
	}
	begin, _ := strconv.Atoi(r.URL.Query().Get("begin"))
	if what[2] == "referrers" || what[2] == "tags" {
		r.URL.RawQuery = ""
	}
	asked := httptest.NewRecorder()
	inner.ServeHTTP(asked, r)
	if hex, isList := strings.CutPrefix(what[3], "sha256-"); q.GitLab && isList && asked.Code == http.StatusNotFound && r.Method != http.MethodPut {
		r.URL.Path = fmt.Sprintf("/v2/%s/manifests/sha256:%s", what[1], hex)
		asked = httptest.NewRecorder()
		inner.ServeHTTP(asked, r)
	}
	q.amendHeader(asked, r, what[2])
	body := asked.Body.Bytes()
	switch {
	case asked.Code != http.StatusOK || r.Method != http.MethodGet:
	case what[2] == "referrers":
		body = q.part(asked, r.URL.Path, body, "manifests", q.ReferrersPage, begin)
	case what[2] == "tags":
		body = q.part(asked, r.URL.Path, body, "tags", q.TagsPage, begin)
	}
	for key, values := range asked.Header() {
		w.Header()[key] = values
	}
	if r.Method != http.MethodHead {
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(asked.Code)
	_, _ = w.Write(body)
}

func (q Quirks) amendHeader(w *httptest.ResponseRecorder, r *http.Request, kind string) {
	header := w.Header()
	if q.NoDigest {
		header.Del("Docker-Content-Digest")
	}
	if q.WrongDigest && header.Get("Docker-Content-Digest") != "" {
		header.Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
	}
	if q.NoLength && r.Method == http.MethodHead {
		header.Del("Content-Length")
	}
	if q.GetType != "" && kind == "manifests" && r.Method == http.MethodGet && w.Code == http.StatusOK {
		header.Set("Content-Type", q.GetType)
	}
	if q.ReferrersType != "" && kind == "referrers" {
		header.Set("Content-Type", q.ReferrersType)
	}
	if location := header.Get("Location"); location != "" {
		_, path, _ := strings.Cut(strings.TrimPrefix(location, "http://"), "/")
		if q.RelativeLocation {
			header.Set("Location", "/"+path)
		}
		if q.NoLocation && w.Code == http.StatusAccepted {
			header.Del("Location")
			header.Set("Docker-Upload-UUID", path[strings.LastIndex(path, "/")+1:])
		}
	}
	switch {
	case w.Code == http.StatusAccepted && q.Begin != 0 && r.Method == http.MethodPost:
		w.Code = q.Begin
	case w.Code == http.StatusCreated && q.Created != 0:
		w.Code = q.Created
	}
}

// part writes one page of a list.
func (q Quirks) part(w *httptest.ResponseRecorder, path string, body []byte, key string, size, begin int) []byte {
	var list map[string]any
	if json.Unmarshal(body, &list) != nil {
		return body
	}
	entries, _ := list[key].([]any)
	if q.Forgetful && key == "manifests" {
		entries = nil
	}
	slices.SortFunc(entries, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	end := len(entries)
	if size > 0 && begin+size < end {
		end = begin + size
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?begin=%d>; rel="next"`, q.Next, path, end))
	}
	list[key] = entries[min(begin, end):end]
	if len(entries) == 0 {
		list[key] = nil
	}
	part, _ := json.Marshal(list)
	return part
}

// send10 answers with HTTP/1.0, and closes the connection.
func send10(w http.ResponseWriter, answer *http.Response) {
	connection, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer connection.Close()
	fmt.Fprintf(buffer, "HTTP/1.0 %s\r\n", answer.Status)
	_ = answer.Header.Write(buffer)
	_, _ = io.WriteString(buffer, "\r\n")
	_, _ = io.Copy(buffer, answer.Body)
	_ = buffer.Flush()
}

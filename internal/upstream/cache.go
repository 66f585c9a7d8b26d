package upstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path/filepath"
	"slices"

	"github.com/libresh/libre/internal/private"
)

// mostCached is the size in bytes of the largest response that is stored.
const mostCached = 8 << 20

// cached revalidates responses on disk by ETag or date. For authorised callers, GitHub does not
// count these requests. It stores documents, not archives. It sets the header X-From-Cache,
// which go-github reads.
type cached struct {
	dir   string
	inner http.RoundTripper
}

// answer is one stored response. It does not contain the token of the request.
type answer struct {
	Header http.Header
	Body   []byte
}

// keptHeaders are the headers that a reader of the body may need.
var keptHeaders = []string{"Content-Type", "Etag", "Last-Modified", "Link"}

func (c *cached) RoundTrip(request *http.Request) (*http.Response, error) {
	if c.dir == "" || request.Method != http.MethodGet || request.Header.Get("Range") != "" {
		return c.inner.RoundTrip(request)
	}
	file := c.fileOf(request)
	var kept answer
	known := readJSON(file, &kept) && len(kept.Header) > 0
	if known {
		request = request.Clone(request.Context())
		if tag := kept.Header.Get("Etag"); tag != "" {
			request.Header.Set("If-None-Match", tag)
		} else {
			request.Header.Set("If-Modified-Since", kept.Header.Get("Last-Modified"))
		}
	}
	response, err := c.inner.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	switch {
	case response.StatusCode == http.StatusNotModified && known:
		response.Body.Close()
		return kept.revive(response), nil
	case response.StatusCode == http.StatusOK && worthKeeping(response.Header):
		return c.keep(file, response)
	}
	return response, nil
}

// fileOf returns the name of a response's file. Requests with a token, and requests for another
// format, have a file of their own.
func (c *cached) fileOf(request *http.Request) string {
	key := fmt.Sprintf("%t %q %s", request.Header.Get("Authorization") != "", request.Header.Get("Accept"), request.URL.Redacted())
	return filepath.Join(c.dir, fmt.Sprintf("answer-%x.json", sha256.Sum256([]byte(key))))
}

func worthKeeping(header http.Header) bool {
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return (header.Get("Etag") != "" || header.Get("Last-Modified") != "") &&
		slices.Contains([]string{"application/json", "text/plain"}, kind)
}

// revive returns the stored response with the headers of the response that confirms it, because
// these contain the quota.
func (a answer) revive(fresh *http.Response) *http.Response {
	header := fresh.Header.Clone()
	for name, values := range a.Header {
		header[name] = values
	}
	header.Set("X-From-Cache", "1")
	header.Del("Content-Length")
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK,
		Proto: fresh.Proto, ProtoMajor: fresh.ProtoMajor, ProtoMinor: fresh.ProtoMinor,
		Header: header, Body: io.NopCloser(bytes.NewReader(a.Body)), ContentLength: int64(len(a.Body)),
		Request: fresh.Request, TLS: fresh.TLS,
	}
}

// keep reads the response and writes it to its file. If it cannot write the file, this only
// costs time later.
func (c *cached) keep(file string, response *http.Response) (*http.Response, error) {
	body := response.Body
	read, err := io.ReadAll(io.LimitReader(body, mostCached+1))
	if err != nil {
		body.Close()
		return nil, err
	}
	if len(read) > mostCached {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(read), body), body}
		return response, nil
	}
	body.Close()
	response.Body = io.NopCloser(bytes.NewReader(read))
	kept := answer{Header: http.Header{}, Body: read}
	for _, name := range keptHeaders {
		if values := response.Header.Values(name); len(values) > 0 {
			kept.Header[name] = values
		}
	}
	writeJSON(file, kept)
	return response, nil
}

// readJSON reads a file of the cache, and marks it as used. It reports whether the file exists and
// is valid.
func readJSON(file string, into any) bool {
	content, err := private.ReadCached(file)
	return err == nil && json.Unmarshal(content, into) == nil
}

// writeJSON replaces a file of the cache. Only the user can read it, because it may be about a
// private repository.
func writeJSON(file string, value any) {
	if content, err := json.Marshal(value); err == nil {
		_ = private.Replace(file, content)
	}
}

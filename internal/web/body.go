package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// mostAhead is how many bytes of an answer are read into memory: enough for any manifest. For a
// larger answer, and for a refusal, it is aheadOfLarge; the rest of a refusal is dropped.
const (
	mostAhead    = 4 << 20
	aheadOfLarge = 64 << 10
)

// readAhead reads the beginning of an answer's body into memory. A refusal may be cut off: its
// status says enough. readAhead removes the request's secrets from refusals, which are printed:
// some servers repeat the request.
func readAhead(request *http.Request, response *http.Response) error {
	body, refused := response.Body, response.StatusCode >= http.StatusBadRequest
	most := mostAhead
	if response.ContentLength > mostAhead || refused {
		most = aheadOfLarge
	}
	read, err := readParts(body, most)
	if err != nil && (!refused || request.Context().Err() != nil) {
		body.Close()
		return err
	}
	if !refused {
		readers := append(make([]io.Reader, 0, len(read)+1), read...)
		response.Body = &peekedBody{io.MultiReader(append(readers, body)...), body, nil}
		return nil
	}
	text, err := io.ReadAll(io.MultiReader(read...))
	for _, secret := range secretsOf(request) {
		text = bytes.ReplaceAll(text, []byte(secret), []byte("…"))
	}
	response.ContentLength = -1
	response.Body = &peekedBody{bytes.NewReader(text), body, text}
	return err
}

// readParts reads up to most bytes, in parts, so that more bytes need no copy.
func readParts(body io.Reader, most int) (parts []io.Reader, err error) {
	for size := 4 << 10; most > 0 && err == nil; size = min(2*size, 64<<10) {
		part, filled := make([]byte, min(most, size)), 0
		for filled < len(part) && err == nil {
			var n int
			n, err = body.Read(part[filled:])
			filled += n
		}
		parts = append(parts, bytes.NewReader(part[:filled]))
		most -= filled
	}
	if err == io.EOF {
		err = nil
	}
	return parts, err
}

// peekedBody is a body whose beginning is in memory.
type peekedBody struct {
	io.Reader
	io.Closer
	beginning []byte
}

func beginning(response *http.Response) string {
	if body, is := response.Body.(*peekedBody); is {
		return string(body.beginning)
	}
	return ""
}

// secretsOf returns the token or the password of a request, encoded and as it was typed.
func secretsOf(request *http.Request) []string {
	_, secret, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	_, password, _ := request.BasicAuth()
	all := []string{secret, password, request.Header.Get("PRIVATE-TOKEN")} // GitLab's header
	for _, name := range []string{"refresh_token", "password"} {
		value := formOf(request).Get(name)
		all = append(all, value, url.QueryEscape(value))
	}
	return slices.DeleteFunc(all, func(secret string) bool { return secret == "" })
}

// formOf returns the form that a request sends: to a token server, with a refresh token.
// https://distribution.github.io/distribution/spec/auth/oauth
func formOf(request *http.Request) url.Values {
	if request.GetBody == nil || request.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return nil
	}
	body, err := request.GetBody()
	if err != nil {
		return nil
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		return nil
	}
	form, _ := url.ParseQuery(string(content)) // returns what it understands
	return form
}

// mostSaid is how much of a server's message is repeated, in characters.
const mostSaid = 300

// Said returns the message in the body of a refusal, on one line of limited length: the
// codes and messages of a registry, the message or error of another API, or the text of a
// page without its markup.
func Said(body []byte) string { return said(body, 0) }

// Refusal returns the status of an answer and the message in its body, such as
// "403 Forbidden: DENIED: no access".
func Refusal(status int, body []byte) string {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if more := said(body, status); more != "" {
		text += ": " + more
	}
	return text
}

// said does what Said does, without text that only repeats the status.
func said(body []byte, status int) string {
	all, between := parts(body)
	name := http.StatusText(status)
	repeats := []string{name, strconv.Itoa(status), fmt.Sprintf("%d %s", status, name), fmt.Sprintf("%d: %s", status, name)}
	all = slices.DeleteFunc(all, func(part string) bool {
		return status > 0 && slices.ContainsFunc(repeats, func(known string) bool { return strings.EqualFold(part, known) })
	})
	return strings.TrimRight(text.Short(strings.Join(all, between), mostSaid), ". ") // more text follows it
}

// parts returns the messages in a body, each once, and their separator.
func parts(body []byte) (all []string, between string) {
	var known struct {
		Errors  []json.RawMessage `json:"errors"`
		Message json.RawMessage   `json:"message"`
		Error   json.RawMessage   `json:"error"`
		Details json.RawMessage   `json:"details"`
		Long    json.RawMessage   `json:"error_description"`
		Detail  json.RawMessage   `json:"detail"`
		Title   json.RawMessage   `json:"title"`
	}
	if json.Unmarshal(body, &known) == nil {
		for _, one := range known.Errors {
			all = addOnce(all, saidOnce(one))
		}
		for _, one := range []json.RawMessage{known.Error, known.Long, known.Message, known.Details, known.Title, known.Detail} {
			if len(known.Errors) == 0 {
				all = addOnce(all, saidOnce(one))
			}
		}
		if len(all) == 0 {
			all = addOnce(all, saidOnce(body))
		}
		return all, "; "
	}
	page := string(body)
	if !markup().MatchString(page) {
		return addOnce(nil, strings.TrimSpace(page)), " "
	}
	for _, part := range markup().Split(hidden().ReplaceAllString(page, " "), -1) {
		all = addOnce(all, text.Line(html.UnescapeString(part)))
	}
	return all, " "
}

var (
	hidden = lazyregexp.New(`(?is)<(?:script|style)\b.*?</(?:script|style)\s*>|<!--.*?-->`)
	markup = lazyregexp.New(`(?s)<[!/]?[a-zA-Z][^>]*>`)
)

// saidOnce returns one error: a text, or a code and a message.
func saidOnce(raw json.RawMessage) string {
	var word string
	if json.Unmarshal(raw, &word) == nil {
		return strings.TrimSpace(word)
	}
	var one struct {
		Code    any `json:"code"`
		Message any `json:"message"`
		Detail  any `json:"detail"`
	}
	if json.Unmarshal(raw, &one) != nil {
		return ""
	}
	var parts []string
	for _, part := range []any{one.Code, one.Message} {
		if part != nil && part != "" {
			parts = append(parts, strings.TrimSpace(fmt.Sprint(part)))
		}
	}
	if detail, isText := one.Detail.(string); isText && detail != "" && (one.Message == nil || one.Message == "") {
		parts = append(parts, detail)
	}
	return strings.Join(parts, ": ")
}

// addOnce adds a part, unless it is there.
func addOnce(all []string, part string) []string {
	if part == "" || slices.Contains(all, part) {
		return all
	}
	return append(all, part)
}

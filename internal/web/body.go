package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/text"
)

// mostAhead are the bytes of an answer that are read before it counts as received:
// all of a manifest. Of what says to be larger it is the beginning, as of a refusal,
// whose rest is dropped.
const (
	mostAhead    = 4 << 20
	aheadOfLarge = 64 << 10
)

// readAhead reads the beginning of an answer's body into memory. From a refusal,
// which is printed, it drops the secrets: some servers repeat what they got.
func readAhead(response *http.Response, secrets []string) error {
	body, refused := response.Body, response.StatusCode >= http.StatusBadRequest
	most := mostAhead
	if response.ContentLength > mostAhead || refused {
		most = aheadOfLarge
	}
	read, err := readParts(body, most)
	if err != nil {
		body.Close()
		return err
	}
	if !refused {
		readers := append(make([]io.Reader, 0, len(read)+1), read...)
		response.Body = &begun{io.MultiReader(append(readers, body)...), body, nil}
		return nil
	}
	text, err := io.ReadAll(io.MultiReader(read...))
	for _, secret := range secrets {
		text = bytes.ReplaceAll(text, []byte(secret), []byte("…"))
	}
	response.ContentLength = -1
	response.Body = &begun{bytes.NewReader(text), body, text}
	return err
}

// readParts reads up to so many bytes, in parts that need no copy when there are more.
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

// begun is a body whose beginning is known.
type begun struct {
	io.Reader
	io.Closer
	beginning []byte
}

func beginning(response *http.Response) string {
	if body, is := response.Body.(*begun); is {
		return string(body.beginning)
	}
	return ""
}

// secretsOf are the token or the password that a request bears, as it is sent and
// as it was typed.
func secretsOf(request *http.Request) []string {
	_, secret, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	if secret == "" {
		return nil
	}
	secrets := []string{secret}
	if _, password, isBasic := request.BasicAuth(); isBasic && password != "" {
		secrets = append(secrets, password)
	}
	return secrets
}

// mostSaid is how much of what a server says is repeated, in characters.
const mostSaid = 300

// Said is what a server says in a refusal, on one line of limited length: the codes
// and messages of a registry, the message or error of another API, else the text of
// the page without its markup.
func Said(body []byte) string { return said(body, 0) }

// Refusal is the status of an answer, and what the server says beside it.
func Refusal(status int, body []byte) string {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if more := said(body, status); more != "" {
		text += ": " + more
	}
	return text
}

// said is Said without what only repeats a status.
func said(body []byte, status int) string {
	all, between := parts(body)
	name := http.StatusText(status)
	repeats := []string{name, strconv.Itoa(status), fmt.Sprintf("%d %s", status, name), fmt.Sprintf("%d: %s", status, name)}
	all = slices.DeleteFunc(all, func(part string) bool {
		return status > 0 && slices.ContainsFunc(repeats, func(known string) bool { return strings.EqualFold(part, known) })
	})
	return strings.TrimRight(text.Short(strings.Join(all, between), mostSaid), ". ") // more is written behind it
}

// parts are what a server says, each once, and what is written between them.
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
	if !markup.MatchString(page) {
		return addOnce(nil, strings.TrimSpace(page)), " "
	}
	for _, part := range markup.Split(hidden.ReplaceAllString(page, " "), -1) {
		all = addOnce(all, text.Line(html.UnescapeString(part)))
	}
	return all, " "
}

var (
	hidden = regexp.MustCompile(`(?is)<(?:script|style)\b.*?</(?:script|style)\s*>|<!--.*?-->`)
	markup = regexp.MustCompile(`(?s)<[!/]?[a-zA-Z][^>]*>`)
)

// saidOnce is one error: a text, or a code and a message.
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

// addOnce leaves out what was said before.
func addOnce(all []string, part string) []string {
	if part == "" || slices.Contains(all, part) {
		return all
	}
	return append(all, part)
}

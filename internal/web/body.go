package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"
	"unicode"
)

// mostAhead are the bytes of an answer that are read before it counts as received:
// all of a manifest.
const mostAhead = 4 << 20

// readAhead reads the beginning of an answer's body into memory. From a refusal,
// which is printed, it drops the secrets: some servers repeat what they got.
func readAhead(response *http.Response, secrets []string) error {
	body := response.Body
	read, err := io.ReadAll(io.LimitReader(body, mostAhead))
	if err != nil {
		body.Close()
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		for _, secret := range secrets {
			read = bytes.ReplaceAll(read, []byte(secret), []byte("…"))
		}
		response.ContentLength = -1
	}
	response.Body = &begun{io.MultiReader(bytes.NewReader(read), body), body, read}
	return nil
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
func Said(body []byte) string {
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
		var all []string
		for _, one := range known.Errors {
			all = addOnce(all, saidOnce(one))
		}
		for _, one := range []json.RawMessage{known.Error, known.Long, known.Message, known.Details, known.Title, known.Detail} {
			if len(known.Errors) == 0 {
				all = addOnce(all, saidOnce(one))
			}
		}
		if len(all) > 0 || len(bytes.TrimSpace(body)) == 0 {
			return Line(strings.Join(all, "; "), mostSaid)
		}
		if text := saidOnce(body); text != "" {
			return Line(text, mostSaid)
		}
		return ""
	}
	text := string(body)
	if markup.MatchString(text) {
		text = html.UnescapeString(markup.ReplaceAllString(hidden.ReplaceAllString(text, " "), " "))
	}
	return Line(text, mostSaid)
}

var (
	hidden = regexp.MustCompile(`(?is)<(?:script|style)\b.*?</(?:script|style)\s*>|<!--.*?-->`)
	markup = regexp.MustCompile(`(?s)<[!/]?[a-zA-Z][^>]*>`)
)

// saidOnce is one error: a text, or a code and a message.
func saidOnce(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return strings.TrimSpace(text)
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
func addOnce(all []string, text string) []string {
	if text == "" {
		return all
	}
	for _, said := range all {
		if said == text {
			return all
		}
	}
	return append(all, text)
}

// Line makes one line of a text from outside, of at most so many characters.
func Line(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		text = strings.TrimRight(string(runes[:most-1]), " ") + "…"
	}
	return text
}

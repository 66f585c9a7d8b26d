package router

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/libresh/libre/internal/lazyregexp"
)

// writer writes a Caddyfile.
type writer struct {
	strings.Builder
	depth    int
	matchers int // names of matchers and variables end in a number
}

func (w *writer) line(format string, values ...any) {
	w.WriteString(strings.Repeat("\t", w.depth))
	fmt.Fprintf(w, format, values...)
	w.WriteString("\n")
}

func (w *writer) open(directive string) {
	w.line("%s", strings.TrimPrefix(directive+" {", " "))
	w.depth++
}

func (w *writer) close() {
	w.depth--
	w.line("}")
}

// quoted is a text as one token of a Caddyfile, in which Caddy replaces nothing. Within "",
// a backslash may change what follows; within “, nothing does. Braces would begin a
// placeholder, and {$ a variable of the environment before anything is read:
// https://caddyserver.com/docs/caddyfile/concepts#tokens-and-quotes
func quoted(text string) (string, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
		return "", errors.New("it has a control character, which no header can have")
	}
	if strings.Contains(text, "{$") {
		return "", errors.New("it has {$, which the router would read as a variable")
	}
	escaped := strings.NewReplacer("{", `\{`, "}", `\}`).Replace(text)
	switch {
	case !strings.ContainsAny(text, "\"\\"):
		return `"` + escaped + `"`, nil
	case !strings.Contains(text, "`"):
		return "`" + escaped + "`", nil
	}
	return "", errors.New("it has a backquote, and a quote or backslash: the router's configuration cannot have both")
}

// isControl reports whether a character may not be in a field's value: RFC 9110, section 5.5.
func isControl(c rune) bool { return c < ' ' || c == 0x7f }

// Names are written as they are. So none has a character that means something to Caddy, or
// begins with one that does, as - and + do before headers.
var (
	plainPath     = lazyregexp.New(`^/[A-Za-z0-9._~!&'()+,;=:@/-]*$`) // RFC 3986, section 3.3, without $ * %
	dotSegment    = lazyregexp.New(`//|/\.\.?(/|$)`)
	plainHeader   = lazyregexp.New(`^[0-9A-Za-z][0-9A-Za-z-]*$`)
	plainArgument = lazyregexp.New(`^[0-9A-Za-z_][0-9A-Za-z._~-]*(\[[0-9A-Za-z_-]*\])*$`)
	plainCookie   = lazyregexp.New(`^[0-9A-Za-z_][0-9A-Za-z._~-]*$`)
	plainAddress  = lazyregexp.New(`^[0-9a-z]([0-9a-z._-]*[0-9a-z])?$`)
)

func checkPath(path string) error {
	if !plainPath().MatchString(path) || dotSegment().MatchString(path) {
		return fmt.Errorf("%q is not a plain path: expected /, letters, digits and ._~!&'()+,;=:@-", path)
	}
	return nil
}

func checkHeader(name string) error {
	if !plainHeader().MatchString(name) {
		return fmt.Errorf("%q is not a header name: expected letters, digits and hyphens", name)
	}
	return nil
}

func checkArgument(name string) error {
	if !plainArgument().MatchString(name) {
		return fmt.Errorf("sticky: %q is not a plain name of a query argument: expected letters, digits and ._~-[]", name)
	}
	return nil
}

func checkCookie(name string) error {
	if !plainCookie().MatchString(name) {
		return fmt.Errorf("sticky: %q is not a plain name of a cookie: expected letters, digits and ._~-", name)
	}
	return nil
}

func checkAddress(host string) error {
	if !plainAddress().MatchString(host) {
		return fmt.Errorf("%q is not a plain host name", host)
	}
	return nil
}

func isAuthorization(header string) bool {
	return http.CanonicalHeaderKey(header) == "Authorization"
}

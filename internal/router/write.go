package router

import (
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
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
	plainPath     = regexp.MustCompile(`^/[A-Za-z0-9._~!&'()+,;=:@/-]*$`) // RFC 3986, section 3.3, without $ * %
	dotSegment    = regexp.MustCompile(`//|/\.\.?(/|$)`)
	plainHeader   = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z-]*$`)
	plainArgument = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z._~-]*(\[[0-9A-Za-z_-]*\])*$`)
	plainCookie   = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z._~-]*$`)
	plainAddress  = regexp.MustCompile(`^[0-9a-z]([0-9a-z._-]*[0-9a-z])?$`)
)

func checkPath(path string) error {
	if !plainPath.MatchString(path) || dotSegment.MatchString(path) {
		return fmt.Errorf("%q is no plain path: expected / and letters, digits, and of the other characters only ._~!&'()+,;=:@-", path)
	}
	return nil
}

func checkHeader(name string) error {
	if !plainHeader.MatchString(name) {
		return fmt.Errorf("%q is no name of a header: expected letters, digits and hyphens", name)
	}
	return nil
}

func checkArgument(name string) error {
	if !plainArgument.MatchString(name) {
		return fmt.Errorf("sticky: %q is no plain name of a query argument: expected letters, digits and ._~-[]", name)
	}
	return nil
}

func checkCookie(name string) error {
	if !plainCookie.MatchString(name) {
		return fmt.Errorf("sticky: %q is no plain name of a cookie: expected letters, digits and ._~-", name)
	}
	return nil
}

func checkAddress(host string) error {
	if !plainAddress.MatchString(host) {
		return fmt.Errorf("%q is no plain name of a host", host)
	}
	return nil
}

func isAuthorization(header string) bool {
	return http.CanonicalHeaderKey(header) == "Authorization"
}

var quantity = regexp.MustCompile(`^([0-9]{1,12}(?:\.[0-9]{1,6})?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`)

// suffixes of quantities, times a thousand:
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
var suffixes = map[string]int64{
	"m": 1, "": 1e3, "k": 1e6, "M": 1e9, "G": 1e12, "T": 1e15,
	"Ki": 1e3 << 10, "Mi": 1e3 << 20, "Gi": 1e3 << 30, "Ti": 1e3 << 40,
}

// bytes is a quantity as a whole number, rounded up.
func bytes(text string) (int64, error) {
	parts := quantity.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("%q is no quantity such as 10Mi", text)
	}
	number, _ := new(big.Rat).SetString(parts[1])
	number.Mul(number, big.NewRat(suffixes[parts[2]], 1000))
	whole := new(big.Int).Add(number.Num(), new(big.Int).Sub(number.Denom(), big.NewInt(1)))
	whole.Quo(whole, number.Denom())
	if !whole.IsInt64() || whole.Sign() == 0 {
		return 0, fmt.Errorf("%q is no size of a body: expected between 1 byte and %d", text, int64(1)<<62)
	}
	return whole.Int64(), nil
}

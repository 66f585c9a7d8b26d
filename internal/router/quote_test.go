package router

import (
	"strings"
	"testing"
)

// hostileValues mean something in a Caddyfile, and nothing in a header.
var hostileValues = []string{
	"default-src 'none'", "{env.LEAKED}", "{http.request.uri}", "{path}", `\{env.LEAKED\}`, `{"group": "x"}`, `a\`, `a\"b`, `"`, "`", "` }", `\\{host}\\`,
	"#", "a # b", "<<END", "{", "}", "{{", "}{", "import x", "$", "$HOME", "{args[0]}", "é", "a`b{c}",
}

func FuzzQuoted(f *testing.F) {
	for _, value := range hostileValues {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, err := quoted(value)
		if err != nil {
			return
		}
		if strings.ContainsAny(token, "\n\r\x00") || strings.Contains(token, "{$") {
			t.Fatalf("%q is written as %q, which is more than a token", value, token)
		}
		text, rest := lexed(token)
		if rest != "" {
			t.Fatalf("%q is written as %q, of which %q is left", value, token, rest)
		}
		if got, replaced := withoutEscapes(text); got != value || replaced {
			t.Fatalf("%q is written as %q, which is %q; replaced: %v", value, token, got, replaced)
		}
	})
}

// lexed reads a quoted token as Caddy's lexer does, and returns what is after it:
// https://github.com/caddyserver/caddy/blob/master/caddyconfig/caddyfile/lexer.go
func lexed(input string) (text, rest string) {
	quote := input[0]
	var out strings.Builder
	escaped := false
	for i := 1; i < len(input); i++ {
		c := input[i]
		switch {
		case quote == '"' && !escaped && c == '\\':
			escaped = true
		case quote == '"' && escaped:
			if c != '"' {
				out.WriteByte('\\')
			}
			out.WriteByte(c)
			escaped = false
		case c == quote:
			return out.String(), input[i+1:]
		default:
			out.WriteByte(c)
		}
	}
	return "", input
}

// withoutEscapes takes escapes of braces away as Caddy's replacer does, and reports whether
// it would look for a placeholder.
func withoutEscapes(text string) (string, bool) {
	var out []byte
	for i := range len(text) {
		brace := text[i] == '{' || text[i] == '}'
		switch {
		case brace && i > 0 && text[i-1] == '\\':
			out[len(out)-1] = text[i]
			continue
		case text[i] == '{':
			return "", true
		}
		out = append(out, text[i])
	}
	return string(out), false
}

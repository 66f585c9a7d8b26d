package nixedit

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"sync"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenKeyword
	tokenInteger
	tokenFloat
	tokenPath   // a piece of a path between ${}
	tokenSearch // <nixpkgs>
	tokenURL    // without quotes
	tokenOpen   // " or ''
	tokenText   // a piece of a string between ${}
	tokenClose  // " or ''
	tokenSymbol // operators and brackets, including ${
)

// token has the bytes from..to of the source.
type token struct {
	kind     tokenKind
	from, to int
}

// syntaxError means that the source has something at an offset that this package does not
// understand.
type syntaxError struct {
	at  int
	why string
}

func (e *syntaxError) Error() string { return e.why }

// The rules of Nix: https://github.com/NixOS/nix/blob/master/src/libexpr/lexer.l. The
// longest match wins; of two equally long ones, the first.
var rules = []struct {
	kind    tokenKind
	pattern func() *regexp.Regexp // compiled when it is first used
}{
	{tokenName, rule(`[a-zA-Z_][a-zA-Z0-9_'\-]*`)},
	{tokenInteger, rule(`[0-9]+`)},
	{tokenFloat, rule(`(?:[1-9][0-9]*\.[0-9]*|0?\.[0-9]+)(?:[Ee][+\-]?[0-9]+)?`)},
	{tokenPath, rule(`~?` + pathChar + `*(?:/` + pathChar + `+)+/?`)},
	{tokenPath, rule(`(?:~|` + pathChar + `*)/\$\{`)}, // without the ${
	{tokenSearch, rule(`<` + pathChar + `+(?:/` + pathChar + `+)*>`)},
	{tokenURL, rule(`[a-zA-Z][a-zA-Z0-9+\-.]*:[a-zA-Z0-9%/?:@&=+$,\-_.!~*']+`)},
	{tokenSymbol, rule(`\.\.\.|==|!=|<=|>=|&&|\|\||->|//|\+\+|\|>|<\||\$\{|[=.,;:@?!+\-*/<>()\[\]{}]`)},
}

const pathChar = `[a-zA-Z0-9._\-+]`

func rule(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp {
		r := regexp.MustCompile(`\A(?:` + pattern + `)`)
		r.Longest()
		return r
	})
}

var keywords = []string{"if", "then", "else", "assert", "with", "let", "in", "rec", "inherit", "or"}

// mode is the construct that the lexer is in. Braces nest: a } ends the innermost ${ or {.
type mode uint8

const (
	inCode mode = iota
	inString
	inIndented
	inPath
)

type lexer struct {
	src    []byte
	at     int
	modes  []mode
	tokens []token
}

// lex splits a Nix file into tokens. White space and comments are between them.
func lex(src []byte) ([]token, error) {
	l := &lexer{src: src, modes: []mode{inCode}}
	for l.at < len(src) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	if top := l.top(); top == inString || top == inIndented {
		return nil, &syntaxError{l.at, "a string has no end"}
	}
	l.emit(tokenEnd, 0)
	return l.tokens, nil
}

func (l *lexer) top() mode { return l.modes[len(l.modes)-1] }

func (l *lexer) emit(kind tokenKind, length int) {
	l.tokens = append(l.tokens, token{kind, l.at, l.at + length})
	l.at += length
}

func (l *lexer) has(prefix string) bool { return bytes.HasPrefix(l.src[l.at:], []byte(prefix)) }

func (l *lexer) push(m mode) { l.modes = append(l.modes, m) }
func (l *lexer) pop()        { l.modes = l.modes[:len(l.modes)-1] }

func (l *lexer) next() error {
	switch l.top() {
	case inString:
		l.text(stringText, `"`)
	case inIndented:
		l.text(indentedText, `''`)
	case inPath:
		l.pathRest()
	default:
		return l.code()
	}
	return nil
}

// text reads one piece of a string: text, the start of ${}, or the end.
func (l *lexer) text(length func([]byte) int, end string) {
	if n := length(l.src[l.at:]); n > 0 {
		l.emit(tokenText, n)
	} else if l.has("${") {
		l.emit(tokenSymbol, 2)
		l.push(inCode)
	} else {
		l.emit(tokenClose, len(end))
		l.pop()
	}
}

// stringText returns the number of bytes of a "…" string before its end or a ${. A dollar also
// consumes the next character, so $${ is text.
func stringText(s []byte) int {
	i := 0
	for i < len(s) && s[i] != '"' {
		switch {
		case s[i] == '\\':
			i += 2
		case s[i] != '$' || i+1 == len(s) || s[i+1] == '"' || s[i+1] == '\\':
			i++
		case s[i+1] == '{':
			return i
		default:
			i += 2
		}
	}
	return min(i, len(s))
}

// indentedText is like stringText for an indented string.
func indentedText(s []byte) int {
	at := func(i int) byte {
		if i < len(s) {
			return s[i]
		}
		return 0
	}
	i := 0
	for i < len(s) {
		switch {
		case s[i] == '\'' && at(i+1) == '\'':
			switch at(i + 2) {
			case '$', '\'':
				i += 3
			case '\\':
				i += 4
			default:
				return i
			}
		case s[i] == '\'' && at(i+1) != '$':
			i += 2
		case s[i] == '$' && at(i+1) == '{':
			return i
		case s[i] == '$' && at(i+1) != '\'':
			i += 2
		default:
			i++
		}
	}
	return min(i, len(s))
}

var pathRest = rule(`(?:` + pathChar + `|/)+`)

func (l *lexer) pathRest() {
	if n := len(pathRest().Find(l.src[l.at:])); n > 0 {
		l.emit(tokenPath, n)
	} else if l.has("${") {
		l.emit(tokenSymbol, 2)
		l.push(inCode)
	} else {
		l.pop()
	}
}

var blank = rule(`[ \t\r\n]+|#[^\r\n]*|/\*(?:[^*]|\*+[^*/])*\*+/`)

func (l *lexer) code() error {
	if n := len(blank().Find(l.src[l.at:])); n > 0 {
		l.at += n
		return nil
	}
	switch {
	case l.has(`"`):
		l.emit(tokenOpen, 1)
		l.push(inString)
		return nil
	case l.has(`''`):
		l.emit(tokenOpen, 2)
		l.push(inIndented)
		return nil
	}
	kind, text := tokenEnd, ""
	for _, r := range rules {
		if m := r.pattern().Find(l.src[l.at:]); len(m) > len(text) {
			kind, text = r.kind, string(m)
		}
	}
	switch {
	case kind == tokenEnd:
		return &syntaxError{l.at, fmt.Sprintf("unexpected %q", l.src[l.at])}
	case kind == tokenName && slices.Contains(keywords, text):
		kind = tokenKeyword
	case kind == tokenPath:
		text = string(bytes.TrimSuffix([]byte(text), []byte("${")))
		l.push(inPath)
	case text == "${" || text == "{":
		l.push(inCode)
	case text == "}":
		if len(l.modes) == 1 {
			return &syntaxError{l.at, "unexpected }"}
		}
		l.pop()
	}
	l.emit(kind, len(text))
	return nil
}

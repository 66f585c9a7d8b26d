package nix

import (
	"regexp"
	"strings"
)

// flakeValue is a literal of flake.nix: inputs.nixpkgs.url is "github:NixOS/nixpkgs".
type flakeValue struct {
	path []string // of attributes
	text string   // of a string, a path or a URI
	line int
}

// flakeInputs reads the literals below inputs. Nix takes nothing else there: what
// would have to be computed is an error of its own.
// https://nix.dev/manual/nix/latest/command-ref/new-cli/nix3-flake#flake-format
func flakeInputs(text string) []flakeValue {
	p := &flakeParser{tokens: flakeTokens(text)}
	for p.next().text == "(" || p.next().text == "rec" {
		p.at++
	}
	p.attributes(nil)
	return p.found
}

type flakeToken struct {
	text    string
	line    int
	literal bool         // text is what a string, a path or a URI says
	inside  []flakeToken // what is computed in a string
}

var nixToken = regexp.MustCompile(`^(?:(#[^\n]*|(?s:/\*.*?\*/)|\s+)|([a-zA-Z][a-zA-Z0-9+.-]*:[a-zA-Z0-9%/?:@&=+$,_.!~*'-]+)|([a-zA-Z0-9._+~-]*(?:/[a-zA-Z0-9._+-]+)+/?|<[^>\s]*>)|([a-zA-Z_][a-zA-Z0-9_'-]*)|(''|")|(?s:.))`)

// flakeTokens splits a text as Nix's lexer does, as far as literals need it.
// https://github.com/NixOS/nix/blob/2.24.0/src/libexpr/lexer.l
func flakeTokens(text string) []flakeToken {
	tokens, _ := tokensUpTo(text, "", 1)
	return tokens
}

// tokensUpTo stops behind the bracket that closes what is open at the beginning, or
// reads all for "". It gives the bytes that were read, too.
func tokensUpTo(text, closing string, line int) (tokens []flakeToken, read int) {
	whole, depth := len(text), 0
	for text != "" {
		found := nixToken.FindStringSubmatch(text)
		token := flakeToken{text: found[0], line: line, literal: found[2] != "" || found[3] != ""}
		length := len(found[0])
		if quote := found[5]; quote != "" {
			token.text, token.inside, length = flakeString(text, quote, line)
			token.literal = true
		}
		if found[1] == "" {
			tokens = append(tokens, token)
		}
		line += strings.Count(text[:length], "\n")
		text = text[length:]
		switch {
		case token.literal || closing == "":
		case token.text == "{" || token.text == "${":
			depth++
		case token.text == closing && depth == 0:
			return tokens, whole - len(text)
		case token.text == closing:
			depth--
		}
	}
	return tokens, whole
}

var flakeEscapes = map[byte]string{'n': "\n", 'r': "\r", 't': "\t"}

// flakeString reads a string up to its end, and gives what it says, what is
// computed in it, and its length.
func flakeString(text, quote string, line int) (said string, inside []flakeToken, length int) {
	var out strings.Builder
	for i := len(quote); i < len(text); i++ {
		rest := text[i:]
		switch {
		case strings.HasPrefix(rest, "$$"):
			out.WriteString("$$")
			i++
		case strings.HasPrefix(rest, "${"):
			computed, read := tokensUpTo(rest[2:], "}", line+strings.Count(text[:i], "\n"))
			inside = append(inside, computed...)
			i += 1 + read
		case quote == "''" && (strings.HasPrefix(rest, "''$") || strings.HasPrefix(rest, "'''")):
			out.WriteString(rest[2:3])
			i += 2
		case quote == "''" && strings.HasPrefix(rest, `''\`) && len(rest) > 3, quote == `"` && rest[0] == '\\' && len(rest) > 1:
			if quote == "''" {
				i += 2
			}
			i++
			if escaped, known := flakeEscapes[text[i]]; known {
				out.WriteString(escaped)
			} else {
				out.WriteByte(text[i])
			}
		case strings.HasPrefix(rest, quote):
			return strings.TrimSpace(out.String()), inside, i + len(quote)
		default:
			out.WriteByte(rest[0])
		}
	}
	return strings.TrimSpace(out.String()), inside, len(text)
}

type flakeParser struct {
	tokens []flakeToken
	at     int
	found  []flakeValue
}

func (p *flakeParser) next() flakeToken {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return flakeToken{}
}

// attributes reads a set, whose attributes are below a path.
func (p *flakeParser) attributes(below []string) {
	if p.next().text != "{" || p.next().literal {
		return
	}
	for p.at++; p.at < len(p.tokens) && p.next().text != "}"; p.at++ { // past ";"
		path := below[:len(below):len(below)]
		for p.at < len(p.tokens) && (p.next().literal || p.next().text != "=" && p.next().text != ";" && p.next().text != "}") {
			if p.next().literal || p.next().text != "." {
				path = append(path, p.next().text)
			}
			p.at++
		}
		if p.next().text == "}" {
			return
		}
		if p.next().text == "=" {
			p.at++
			p.value(path)
		}
	}
}

// value reads up to the ";" behind it.
func (p *flakeParser) value(path []string) {
	for p.next().text == "(" || p.next().text == "rec" {
		p.at++
	}
	isInput := len(path) == 0 || path[0] == "inputs"
	if isInput && p.next().text == "{" && !p.next().literal {
		p.attributes(path)
	}
	for depth := 0; p.at < len(p.tokens); p.at++ {
		token := p.next()
		switch {
		case token.literal && isInput:
			p.found = append(p.found, flakeValue{path, token.text, token.line})
		case token.literal:
		case strings.Contains("{[(", token.text):
			depth++
		case strings.Contains("}])", token.text):
			depth--
		case token.text == ";" && depth <= 0:
			return
		}
	}
}

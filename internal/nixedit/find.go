package nixedit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/libresh/libre/internal/catalog"
)

// Kind is how an attribute's value is written.
type Kind string

const (
	Literal    Kind = "literal"    // one string or integer
	Derived    Kind = "derived"    // a string with ${} in it
	Identifier Kind = "identifier" // a name
	Inherited  Kind = "inherited"
	Computed   Kind = "computed" // anything else
)

// Attribute is an attribute of an evaluated set, with the place of its name.
type Attribute struct {
	// Path is the path from the evaluated set, such as source.hash. It may contain names
	// with dots, quoted or not.
	Path string
	// At is the result of builtins.unsafeGetAttrPos. The column counts bytes; a tab is one byte.
	// For a dotted path it is the place of the first name.
	At catalog.Position
}

// Found is an attribute's value as written in a file.
type Found struct {
	Kind Kind
	// Text is the value of the literal, or of the literal that an identifier refers to.
	Text string
	// Integer is true for an integer, false for a string.
	Integer bool
	// Literal is the place of the literal that Set would change.
	Literal catalog.Position
	// Refusal is the reason why Set would not change it, or nil if it would.
	Refusal error
}

// Refusal is the error for an unsafe edit, with its place.
type Refusal struct {
	At  catalog.Position
	Why string
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", r.At.File, r.At.Line, r.At.Column, r.Why)
}

// Find finds how the value of an attribute is written in src. The error is a *Refusal if
// the attribute is not at its place.
func Find(src []byte, a Attribute) (Found, error) {
	f, err := open(a.At.File, src)
	if err != nil {
		return Found{}, err
	}
	b, err := f.binding(a)
	if err != nil {
		return Found{}, err
	}
	found := Found{Kind: kindOf(b)}
	n, err := f.literal(a, b)
	if err != nil {
		found.Refusal = err
		return found, nil
	}
	found.Text, found.Integer = f.value(n), n.kind == nodeInteger
	found.Literal = f.position(n.from)
	return found, nil
}

func kindOf(b *binding) Kind {
	switch {
	case b.value == nil:
		return Inherited
	case b.value.isLiteral():
		return Literal
	case b.value.kind == nodeString:
		return Derived
	case b.value.kind == nodeName:
		return Identifier
	}
	return Computed
}

// file is a parsed Nix file.
type file struct {
	name   string
	src    []byte
	lines  []int // offsets of their first bytes
	tokens []token
	root   *node
}

func open(name string, src []byte) (*file, error) {
	f := &file{name: name, src: src, lines: []int{0}}
	for i, c := range src {
		// Nix accepts \
		// , \\r\
		//  and \\r.
		if c == '\n' || c == '\r' && (i+1 == len(src) || src[i+1] != '\n') {
			f.lines = append(f.lines, i+1)
		}
	}
	var err error
	f.root, f.tokens, err = parse(src)
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		return nil, f.refuse(syntax.at, "%s", syntax.why)
	}
	return f, err
}

func (f *file) position(offset int) catalog.Position {
	line, found := slices.BinarySearch(f.lines, offset)
	if !found {
		line--
	}
	return catalog.Position{File: f.name, Line: line + 1, Column: offset - f.lines[line] + 1}
}

func (f *file) refuse(offset int, format string, args ...any) error {
	return &Refusal{f.position(offset), fmt.Sprintf(format, args...)}
}

// binding finds an attribute at its place. For an inherited attribute, Nix up to 2.20 returns
// the place before the names, and later versions the place of the name.
func (f *file) binding(a Attribute) (*binding, error) {
	gone := &Refusal{a.At, a.Path + " is not here: did the file change since it was evaluated?"}
	if a.At.Line < 1 || a.At.Line > len(f.lines) || a.At.Column < 1 {
		return nil, gone
	}
	offset := f.lines[a.At.Line-1] + a.At.Column - 1
	path := "." + plainPath(a.Path)
	var inherited *binding
	for b := range f.root.allBindings {
		named := b.static() && strings.HasSuffix(path, "."+b.name())
		switch {
		case b.value != nil && b.path[0].from == offset && named:
			return b, nil
		case b.value != nil && b.path[0].from == offset:
			as := excerpt(string(f.src[offset:b.path[len(b.path)-1].to]))
			return nil, &Refusal{a.At, fmt.Sprintf("%s is written as %s: libre edits attributes under their own names only", a.Path, as)}
		case b.value == nil && b.from <= offset && offset < b.to && named:
			inherited = b // the innermost one is last
		}
	}
	if inherited == nil {
		return nil, gone
	}
	return inherited, nil
}

// plainPath removes the quotes from a path. The place is known, so "a.b" and a.b need not be
// distinguished.
func plainPath(path string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(path):
			i++
			b.WriteByte(escaped(path[i]))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// literal returns the literal to change for an attribute: its value or, if the value is a
// single name, the value of that name.
func (f *file) literal(a Attribute, b *binding) (*node, error) {
	const only = "libre edits literals only"
	refuse := func(format string, args ...any) (*node, error) {
		return nil, &Refusal{a.At, a.Path + " is " + fmt.Sprintf(format, args...)}
	}
	switch kindOf(b) {
	case Literal:
		return b.value, nil
	case Inherited:
		return refuse("inherited: write %s = …; here, %s", b.path[0].name, only)
	case Derived:
		return refuse("made of other values (%s): change those, %s", f.excerpt(b.value), only)
	case Computed:
		return refuse("computed (%s): %s", f.excerpt(b.value), only)
	}
	name := f.text(b.value)
	scopes := scopesOf(b.value, name)
	switch {
	case len(scopes) == 0:
		return refuse("%s, which this file does not bind: %s", name, only)
	case len(scopes) > 1:
		return refuse("%s, which is bound at line %d and again at line %d: rename one of them", name,
			f.position(scopes[1].at).Line, f.position(scopes[0].at).Line)
	}
	s := scopes[0]
	line := f.position(s.at).Line
	switch {
	case s.binding == nil:
		return refuse("%s, an argument of the function at line %d: %s", name, line, only)
	case len(s.binding.path) > 1:
		return refuse("%s, a set at line %d: %s", name, line, only)
	case kindOf(s.binding) == Literal:
		return s.binding.value, nil
	case kindOf(s.binding) == Inherited:
		return refuse("%s, which is inherited at line %d: %s", name, line, only)
	}
	return refuse("%s, which is not a literal at line %d (%s): %s", name, line, f.excerpt(s.binding.value), only)
}

// value returns the value of a literal as text. An indented string is used as written, because
// the values that this package writes have no line ends.
func (f *file) value(n *node) string {
	text := f.src[n.from:n.to]
	switch {
	case n.kind == nodeInteger:
		return string(text)
	case bytes.HasPrefix(text, []byte("''")):
		return string(text[2 : len(text)-2])
	}
	return unescape(text)
}

func (f *file) text(n *node) string    { return string(f.src[n.from:n.to]) }
func (f *file) excerpt(n *node) string { return excerpt(f.text(n)) }

// excerpt returns the start of a text, on one line that is safe to show.
func excerpt(text string) string {
	const most = 40
	text = strings.Join(strings.Fields(text), " ")
	runes := []rune(text)
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = unicode.ReplacementChar
		}
	}
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}

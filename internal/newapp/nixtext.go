package newapp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/text"
)

// set is a set of a Nix file, in the order to write it.
type set []attribute

// attribute is an attribute with its value: a string, int, bool, []string, set or code; nil for
// one that is inherited.
// Names may be from outside; code may not.
type attribute struct {
	path  []string
	value any
	guess string // why it is one; "" for none. It is not from outside
}

// code is Nix code of our own.
type code string

func (s *set) add(value any, path ...string) { *s = append(*s, attribute{path, value, ""}) }

// addGuess adds an attribute that somebody should look at.
func (s *set) addGuess(why string, value any, path ...string) {
	*s = append(*s, attribute{path, value, why})
}

// addText adds a text, unless it is empty.
func (s *set) addText(value string, path ...string) {
	if value != "" {
		s.add(value, path...)
	}
}

var (
	plainName = lazyregexp.New(`\A[A-Za-z_][0-9A-Za-z_-]*\z`)
	keywords  = []string{"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"}
)

// key is an attribute path as it is written.
func key(path []string) string {
	parts := make([]string, len(path))
	for i, name := range path {
		if parts[i] = name; !plainName().MatchString(name) || slices.Contains(keywords, name) {
			parts[i] = quoted(name)
		}
	}
	return strings.Join(parts, ".")
}

// mostText is the length of the longest text that is written, in bytes.
const mostText = 2000

// quoted is a text from outside as a string of Nix, on one line.
func quoted(outside string) string { return nix.Quote(text.Clip(text.Line(outside), mostText)) }

// write writes the attributes of a set, one a line.
func (s set) write(b *strings.Builder, indent string) {
	for _, a := range s {
		if a.guess != "" {
			fmt.Fprintf(b, "%s# A guess: %s.\n", indent, a.guess)
		}
		if a.value == nil {
			fmt.Fprintf(b, "%sinherit %s;\n", indent, key(a.path))
			continue
		}
		fmt.Fprintf(b, "%s%s = %s;\n", indent, key(a.path), valueText(a.value, indent))
	}
}

func valueText(value any, indent string) string {
	switch v := value.(type) {
	case string:
		return quoted(v)
	case int:
		return strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	case code:
		return strings.ReplaceAll(string(v), "\n", "\n"+indent)
	case []string:
		return listText(v)
	case set:
		return setText(v, indent)
	}
	panic(fmt.Sprintf("no value of Nix: %T", value))
}

func listText(list []string) string {
	parts := []string{"["}
	for _, one := range list {
		parts = append(parts, quoted(one))
	}
	return strings.Join(append(parts, "]"), " ")
}

func setText(s set, indent string) string {
	if len(s) == 0 {
		return "{ }"
	}
	var b strings.Builder
	b.WriteString("{\n")
	s.write(&b, indent+"  ")
	b.WriteString(indent + "}")
	return b.String()
}

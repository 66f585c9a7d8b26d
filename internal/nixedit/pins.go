package nixedit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// AddPins adds missing pins to a component, whose value must be a { … }: to its set `bases`,
// next to its `bases."…" = …;`, or as a new `bases`. They come first in the set, with the
// indentation of the next line.
type AddPins struct {
	Attribute                  // of the component
	Digests   map[string]Value // by the base's name
}

// baseName matches an image reference. Such a reference needs no escapes.
// https://github.com/distribution/reference/blob/main/reference.go
var baseName = lazyregexp.New(`\A[0-9A-Za-z][0-9A-Za-z._:/@-]*\z`)

const bases = "bases"

func (p AddPins) splices(f *file) ([]splice, error) {
	refuse := func(format string, args ...any) ([]splice, error) {
		return nil, &Refusal{p.At, p.Path + " " + fmt.Sprintf(format, args...) + ": add the pins of its bases by hand"}
	}
	if len(p.Digests) == 0 {
		return nil, nil
	}
	b, err := f.binding(p.Attribute)
	if err != nil {
		return nil, err
	}
	switch {
	case b.value == nil || b.value.kind != nodeSet:
		return refuse("is not written as { … }")
	case slices.ContainsFunc(b.owner.bindings, func(o *binding) bool { return o != b && o.overlaps(b) }):
		return refuse("is written in several places")
	}
	component := b.value
	var set *node // the value of bases
	dotted := false
	for _, own := range component.bindings {
		switch {
		case !own.path[0].static:
			return refuse("has computed names")
		case own.path[0].name != bases:
		case len(own.path) > 1:
			dotted = true
		case own.value == nil || own.value.kind != nodeSet:
			return refuse("has bases that are not written as { … }")
		default:
			set = own.value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Digests)) {
		if !baseName().MatchString(name) || len(name) > 500 {
			return refuse("has a base with the name %s", quote(name))
		}
		if !digest().MatchString(p.Digests[name].text) {
			return refuse("has no digest for %s", name)
		}
		if pinned(component, set, name) {
			return refuse("has a pin for %s", name)
		}
	}
	return []splice{p.insertion(f, component, set, dotted)}, nil
}

// overlaps reports whether two bindings of one set define the same attribute.
func (b *binding) overlaps(other *binding) bool {
	for i := range min(len(b.path), len(other.path)) {
		if x, y := b.path[i], other.path[i]; x.static && y.static && x.name != y.name {
			return false
		}
	}
	return true
}

func pinned(component, set *node, name string) bool {
	if set != nil && slices.ContainsFunc(set.bindings, func(b *binding) bool { return !b.path[0].static || b.path[0].name == name }) {
		return true
	}
	return slices.ContainsFunc(component.bindings, func(b *binding) bool {
		return len(b.path) > 1 && b.path[0].name == bases && (!b.path[1].static || b.path[1].name == name)
	})
}

func (p AddPins) insertion(f *file, component, set *node, dotted bool) splice {
	var pins []string
	for _, name := range slices.Sorted(maps.Keys(p.Digests)) {
		pins = append(pins, fmt.Sprintf("%q = %q;", name, p.Digests[name].text))
	}
	into := component
	if set != nil {
		into = set
	}
	at, lineEnd, indent := f.below(into.brace)
	inline := lineEnd == ""
	unit := "  "
	if strings.HasSuffix(indent, "\t") {
		unit = "\t"
	}
	switch {
	case set != nil:
	case dotted:
		for i := range pins {
			pins[i] = bases + "." + pins[i]
		}
	case inline:
		pins = append(append([]string{bases + " = {"}, pins...), "};")
	default:
		for i := range pins {
			pins[i] = unit + pins[i]
		}
		pins = append(append([]string{bases + " = {"}, pins...), "};")
	}
	if inline {
		return splice{from: at, to: at, text: " " + strings.Join(pins, " ")}
	}
	var text strings.Builder
	for _, line := range pins {
		text.WriteString(lineEnd + indent + line)
	}
	return splice{from: at, to: at, text: text.String()}
}

var (
	restOfLine = lazyregexp.New(`\A[ \t]*(?:#[^\r\n]*)?(\r\n|\n|\r)`)
	blankLines = lazyregexp.New(`\A(?:[ \t]*(?:\r\n|\n|\r))*`)
	indentOf   = lazyregexp.New(`\A[ \t]*`)
)

// below returns the place for a line below a brace: the end of the brace's line if only a
// comment follows, with the line end and indentation of the next line. Otherwise it returns the
// place right after the brace, and no line end.
func (f *file) below(brace int) (at int, lineEnd, indent string) {
	rest := restOfLine().FindSubmatch(f.src[brace+1:])
	if rest == nil {
		return brace + 1, "", ""
	}
	lineEnd = string(rest[1])
	at = brace + 1 + len(rest[0]) - len(lineEnd)
	next := f.src[at+len(lineEnd):]
	next = next[len(blankLines().Find(next)):]
	indent = string(indentOf().Find(next))
	if strings.HasPrefix(string(next[len(indent):]), "}") {
		if strings.HasSuffix(indent, "\t") {
			indent += "\t"
		} else {
			indent += "  "
		}
	}
	return at, lineEnd, indent
}

package settings

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/fault"
)

// reader takes a value that stands at a place.
type reader func(at place, node *yaml.Node) error

// place is where a value stands, and what is allowed there.
type place struct {
	path     string // groups.public, or a variable's name
	expected string
	example  string
	kind     fault.Kind
}

func (p place) below(name string) place {
	if p.path != "" {
		name = p.path + "." + name
	}
	return place{path: name, kind: p.kind}
}

// wrong says that a value is not what is allowed. why may be empty.
func (p place) wrong(node *yaml.Node, why string) error {
	if why != "" {
		why = " (" + clipped(why) + ")"
	}
	return p.fault(node, fmt.Sprintf("%s is %s%s, expected %s", p.path, shown(node), why, p.expected), p.example)
}

// wrongKey says that the name of a key is not what is allowed.
func (p place) wrongKey(node *yaml.Node, why string) error {
	return p.fault(node, fmt.Sprintf("%s has the key %s: %s", p.path, shown(node), why), p.example)
}

func (p place) fault(node *yaml.Node, what, example string) error {
	if node.Line > 0 {
		what = fmt.Sprintf("%s:%d: %s", File, node.Line, what)
	}
	return &fault.Fault{Kind: p.kind, Err: errors.New(what), Fix: "for example: " + example}
}

// textNode is a value that stands in no file.
func textNode(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// text takes one word or line. "" leaves it unset. check may be nil.
func text(into *string, check func(string) error) reader {
	return func(at place, node *yaml.Node) error {
		if node.Kind != yaml.ScalarNode {
			return at.wrong(node, "")
		}
		if node.Value != "" && check != nil {
			if err := check(node.Value); err != nil {
				return at.wrong(node, err.Error())
			}
		}
		*into = node.Value
		return nil
	}
}

// list takes texts, each once.
func list(into *[]string, check func(string) error) reader {
	return func(at place, node *yaml.Node) error {
		if node.Kind != yaml.SequenceNode {
			return at.wrong(node, "")
		}
		for _, element := range node.Content {
			element = resolved(element)
			here := at
			here.path += "[]"
			value := ""
			if err := text(&value, check)(here, element); err != nil {
				return err
			}
			if value == "" {
				return here.wrong(element, "")
			}
			if slices.Contains(*into, value) {
				return here.wrong(element, "it is named twice")
			}
			*into = append(*into, value)
		}
		return nil
	}
}

// mapping takes the keys of a table.
func mapping(keys []key) reader {
	return func(at place, node *yaml.Node) error {
		if node.Kind != yaml.MappingNode {
			return at.wrong(node, "")
		}
		return pairs(at, node, func(name, value *yaml.Node) error {
			i := slices.IndexFunc(keys, func(k key) bool { return k.name == name.Value })
			if i < 0 {
				return unknown(at, name, keys)
			}
			here := at.below(name.Value)
			here.expected, here.example = keys[i].expected, keys[i].example
			return keys[i].read(here, value)
		})
	}
}

// pairs calls do for each key that has a value, and refuses one that is there twice.
func pairs(at place, node *yaml.Node, do func(name, value *yaml.Node) error) error {
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := resolved(node.Content[i]), resolved(node.Content[i+1])
		here := at.below(name.Value)
		switch {
		case name.Kind != yaml.ScalarNode:
			return here.fault(name, shown(name)+" is no key, expected a name", "registry: registry.example/coop")
		case name.ShortTag() == "!!merge":
			return here.fault(name, "<< merges keys, which libre does not do", "the keys themselves, written out")
		case lines[name.Value] > 0:
			return here.fault(name, fmt.Sprintf("%s is there twice, first in line %d", here.path, lines[name.Value]), fmt.Sprintf("remove line %d", name.Line))
		}
		lines[name.Value] = name.Line
		if value.ShortTag() == "!!null" {
			continue // nothing is set
		}
		if err := do(name, value); err != nil {
			return err
		}
	}
	return nil
}

func unknown(at place, name *yaml.Node, keys []key) error {
	var names []string
	for _, k := range keys {
		names = append(names, k.name)
	}
	in := ""
	if at.path != "" {
		in = " in " + at.path
	}
	example := keys[0].example
	for _, k := range keys {
		if strings.EqualFold(k.name, strings.ReplaceAll(strings.ReplaceAll(name.Value, "_", ""), "-", "")) {
			example = k.example
		}
	}
	return at.fault(name, fmt.Sprintf("unknown key %s%s, expected one of %s", plain(name.Value), in, strings.Join(names, ", ")), example)
}

// oneOf is a check for words.
func oneOf(words ...string) func(string) error {
	return func(word string) error {
		if !slices.Contains(words, word) {
			return errWord
		}
		return nil
	}
}

// errWord needs no words beside those that are expected.
var errWord = errors.New("")

// resolved is what an alias stands for.
func resolved(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// shown is a value as a message says it.
func shown(node *yaml.Node) string {
	switch node.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	if node.ShortTag() == "!!null" || node.Value == "" {
		return "empty"
	}
	return plain(node.Value)
}

// login is a name and a password, as before a registry, or what may be one in a URL:
// all up to the last "@", as a password that is not escaped has any character.
var login = regexp.MustCompile(`(?s)(://).*@|[^\s/:@]+:[^\s/@]+@`)

// plain is a text on one line, without what may be a secret.
func plain(value string) string {
	if strings.Contains(value, "-----BEGIN") {
		return "a key itself"
	}
	return fmt.Sprintf("%q", clipped(login.ReplaceAllString(value, "${1}…@")))
}

// clipped is a text that may have a whole file in it.
func clipped(value string) string {
	if r := []rune(value); len(r) > mostShown {
		return string(r[:mostShown]) + "…"
	}
	return value
}

// mostShown is how much of a value is repeated, in characters.
const mostShown = 160

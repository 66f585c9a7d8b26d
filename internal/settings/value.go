package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
)

// reader reads the value at a location.
type reader func(at location, node *yaml.Node) error

// location is the place of a value in the file, and what is allowed there.
type location struct {
	path     string // groups.public, or a variable's name
	expected string
	example  string
	kind     fault.Kind
}

func (l location) below(name string) location {
	if l.path != "" {
		name = l.path + "." + name
	}
	return location{path: name, kind: l.kind}
}

// wrong returns the error for a value that is not allowed. why may be empty.
func (l location) wrong(node *yaml.Node, why string) error {
	if why != "" {
		why = " (" + clipped(why) + ")"
	}
	return l.fault(node, fmt.Sprintf("%s is %s%s, expected %s", l.path, shown(node), why, l.expected), "for example: "+l.example)
}

// wrongKey returns the error for a key with a name that is not allowed.
func (l location) wrongKey(node *yaml.Node, why string) error {
	return l.fault(node, fmt.Sprintf("%s has the key %s: %s", l.path, shown(node), why), "for example: "+l.example)
}

func (l location) fault(node *yaml.Node, what, fix string) error {
	if node.Line > 0 {
		what = fmt.Sprintf("%s:%d: %s", File, node.Line, what)
	}
	return &fault.Fault{Kind: l.kind, Err: errors.New(what), Fix: fix}
}

// textNode returns a value that is not from a file.
func textNode(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// text reads a string. An empty one leaves the setting unset. check may be nil.
func text(into *string, check func(string) error) reader {
	return func(at location, node *yaml.Node) error {
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

// list reads strings without duplicates.
func list(into *[]string, check func(string) error) reader {
	return func(at location, node *yaml.Node) error {
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
				return here.wrong(element, "it is listed twice")
			}
			*into = append(*into, value)
		}
		return nil
	}
}

// mapping reads a mapping with the given keys.
func mapping(keys []key) reader {
	return func(at location, node *yaml.Node) error {
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

// pairs calls do for each key that has a value, and refuses duplicates.
func pairs(at location, node *yaml.Node, do func(name, value *yaml.Node) error) error {
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := resolved(node.Content[i]), resolved(node.Content[i+1])
		here := at.below(name.Value)
		switch {
		case name.Kind != yaml.ScalarNode:
			return here.fault(name, shown(name)+" is not a key, expected a name", "for example: registry: registry.example/coop")
		case name.ShortTag() == "!!merge":
			return here.fault(name, "<< is not supported", "write the keys out")
		case lines[name.Value] > 0:
			return here.fault(name, fmt.Sprintf("%s is set twice, first in line %d", here.path, lines[name.Value]), fmt.Sprintf("remove line %d", name.Line))
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

func unknown(at location, name *yaml.Node, keys []key) error {
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
	return at.fault(name, fmt.Sprintf("unknown key %s%s, expected one of %s", plain(name.Value), in, strings.Join(names, ", ")), "for example: "+example)
}

// oneOf returns a check that accepts the given words.
func oneOf(words ...string) func(string) error {
	return func(word string) error {
		if !slices.Contains(words, word) {
			return errWord
		}
		return nil
	}
}

// errWord is an error whose message is only the expected value.
var errWord = errors.New("")

// resolved follows aliases.
func resolved(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// shown returns a value as an error shows it.
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

// login matches a name and a password, as in front of a registry. In a URL it matches
// everything up to the last "@", because an unescaped password can contain any character.
var login = lazyregexp.New(`(?s)(://).*@|[^\s/:@]+:[^\s/@]+@`)

// plain returns a quoted text without what may be a secret.
func plain(value string) string {
	if strings.Contains(value, "-----BEGIN") {
		return "a key itself"
	}
	return fmt.Sprintf("%q", clipped(login().ReplaceAllString(value, "${1}…@")))
}

// clipped shortens a text, which may be a complete file.
func clipped(value string) string {
	if r := []rune(value); len(r) > mostShown {
		return string(r[:mostShown]) + "…"
	}
	return value
}

// mostShown is the number of characters of a value that an error shows.
const mostShown = 160

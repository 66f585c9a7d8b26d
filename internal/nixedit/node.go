package nixedit

import (
	"slices"
	"strings"
)

type nodeKind uint8

const (
	nodeOther nodeKind = iota // anything that has to be evaluated
	nodeInteger
	nodeString // with interpolations if it has children
	nodeName
	nodePath // with interpolations if it has children
	nodeList
	nodeSet
	nodeLet
	nodeLambda
	nodeApply // a function and its arguments
)

// node is an expression, with the details that edits need: operators have no kind and no
// precedence, but scopes are exact.
type node struct {
	kind     nodeKind
	from, to int
	parent   *node
	children []*node
	bindings []*binding // of a set or a let
	visible  bool       // bindings is a scope: let and rec
	brace    int        // of a set: offset of its {
	args     []string   // of a lambda: the names that it binds
	formals  int        // of a lambda with { a, b }: offset after the last name and its default; otherwise 0
	body     *node      // of a with, assert, let or parentheses: the expression with its value
}

// binding is "path = value;", or "inherit … path;" with a nil value and one name.
type binding struct {
	from, to int // from the first name, or from "inherit", to the semicolon
	path     []attr
	value    *node
	owner    *node
}

// attr is one part of an attribute path.
type attr struct {
	from, to int
	name     string
	static   bool // if false, it is computed, and name is empty
}

func (n *node) add(children ...*node) { n.children = append(n.children, children...) }

// adopt sets the parents of all nodes below n.
func (n *node) adopt() {
	for _, c := range n.children {
		c.parent = n
		c.adopt()
	}
}

// innermost returns the expression that has the value of n, below with, assert, let and
// parentheses.
func (n *node) innermost() *node {
	for n.body != nil {
		n = n.body
	}
	return n
}

func (n *node) isLiteral() bool {
	return (n.kind == nodeInteger || n.kind == nodeString) && len(n.children) == 0
}

// allBindings yields the bindings in and below n, outer ones first.
func (n *node) allBindings(yield func(*binding) bool) {
	n.walk(func(n *node) bool {
		for _, b := range n.bindings {
			if !yield(b) {
				return false
			}
		}
		return true
	})
}

func (n *node) walk(visit func(*node) bool) bool {
	if !visit(n) {
		return false
	}
	for _, c := range n.children {
		if !c.walk(visit) {
			return false
		}
	}
	return true
}

func (b *binding) name() string {
	var names []string
	for _, a := range b.path {
		names = append(names, a.name)
	}
	return strings.Join(names, ".")
}

func (b *binding) static() bool {
	return !slices.ContainsFunc(b.path, func(a attr) bool { return !a.static })
}

// scope is a place that defines names: bindings, or a function.
type scope struct {
	at      int
	binding *binding
}

// scopesOf lists the scopes around n that define a name, innermost first. A with never hides
// their names.
// https://nix.dev/manual/nix/latest/language/scope
func scopesOf(n *node, name string) []scope {
	var all []scope
	for s := n.parent; s != nil; s = s.parent {
		if slices.Contains(s.args, name) {
			all = append(all, scope{at: s.from})
		}
		if !s.visible {
			continue
		}
		for _, b := range s.bindings {
			if b.path[0].static && b.path[0].name == name {
				all = append(all, scope{b.path[0].from, b})
			}
		}
	}
	return all
}

// unescape returns the content of a "…" string without interpolation. s includes the quotes.
// https://nix.dev/manual/nix/latest/language/string-literals
func unescape(s []byte) string {
	var b strings.Builder
	s = s[1 : len(s)-1]
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(escaped(s[i]))
		case c == '\r':
			// Nix reads every line end as \
			// .
			b.WriteByte('\n')
			if i+1 < len(s) && s[i+1] == '\n' {
				i++
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

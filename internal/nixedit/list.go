package nixedit

import (
	"bytes"
	"path"
	"regexp"
	"slices"
)

// DropPath removes one path from an attribute that is a list in brackets, such as ./a.patch
// from patches = [ ./a.patch ./b.patch ]. It removes the line too if nothing else is on it.
// Comments stay.
type DropPath struct {
	Attribute
	Item string // the path as written, or another spelling of it
}

func (d DropPath) splices(f *file) ([]splice, error) {
	refuse := func(why string) ([]splice, error) {
		return nil, &Refusal{d.At, d.Path + why + ": remove " + excerpt(d.Item) + " by hand"}
	}
	b, err := f.binding(d.Attribute)
	if err != nil {
		return nil, err
	}
	if b.value == nil || b.value.kind != nodeList {
		return refuse(" is not written as [ … ]")
	}
	items := slices.DeleteFunc(slices.Clone(b.value.children), func(n *node) bool {
		return n.kind != nodePath || len(n.children) > 0 || path.Clean(f.text(n)) != path.Clean(d.Item)
	})
	switch {
	case len(items) == 0:
		return refuse(" has no such path")
	case len(items) > 1:
		return refuse(" has it more than once")
	}
	from, to := f.withSpace(items[0])
	return []splice{{from: from, to: to}}, nil
}

var spaceAfter = regexp.MustCompile(`\A[ \t]*(?:\r\n|\n|\r)`)

// withSpace is an item with the space before it, or with its line if nothing else is on it.
func (f *file) withSpace(n *node) (from, to int) {
	from = len(bytes.TrimRight(f.src[:n.from], " \t"))
	if after := spaceAfter.Find(f.src[n.to:]); after != nil && slices.Contains(f.lines, from) {
		return from, n.to + len(after)
	}
	return from, n.to
}

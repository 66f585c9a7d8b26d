package nixedit

import (
	"bytes"
	"path"
	"slices"

	"github.com/libresh/libre/internal/lazyregexp"
)

// DropPatch removes one patch from an attribute that is a list in brackets, such as ./a.patch
// from patches = [ ./a.patch ./b.patch ], or from the calls of patchSource in a variant. The
// patch is a path, or a set with a file or a url. If nothing else is on the line, the line is
// removed too. Comments stay.
type DropPatch struct {
	Attribute        // patches, or variants.NAME
	Item      string // the path as written, or another spelling of it; or the URL
}

func (d DropPatch) splices(f *file) ([]splice, error) {
	refuse := func(why string) ([]splice, error) {
		return nil, &Refusal{d.At, d.Path + why + ": remove " + excerpt(d.Item) + " by hand"}
	}
	b, err := f.binding(d.Attribute)
	if err != nil {
		return nil, err
	}
	lists := f.patchLists(b)
	if len(lists) == 0 {
		return refuse(" is not written as [ … ]")
	}
	var items []*node
	for _, list := range lists {
		for _, item := range list.children {
			if f.isPatch(item.innermost(), d.Item) {
				items = append(items, item)
			}
		}
	}
	switch {
	case len(items) == 0:
		return refuse(" has no such patch")
	case len(items) > 1:
		return refuse(" has it more than once")
	}
	from, to := f.withSpace(items[0])
	return []splice{{from: from, to: to}}, nil
}

// patchLists returns the lists of patches in a binding: its value, or the lists in calls of
// patchSource in a function.
func (f *file) patchLists(b *binding) []*node {
	if b.value == nil {
		return nil
	}
	value := b.value.innermost()
	switch value.kind {
	case nodeList:
		return []*node{value}
	case nodeLambda:
		var lists []*node
		value.walk(func(n *node) bool {
			if list := f.patchList(n); list != nil {
				lists = append(lists, list)
			}
			return true
		})
		return lists
	}
	return nil
}

// isPatch reports whether an item of a list is a patch: a path, or a set with its file or
// url.
func (f *file) isPatch(n *node, patch string) bool {
	switch {
	case n.kind == nodePath:
		return len(n.children) == 0 && path.Clean(f.text(n)) == path.Clean(patch)
	case n.kind != nodeSet:
		return false
	}
	return slices.ContainsFunc(n.bindings, func(b *binding) bool {
		switch {
		case !b.static() || b.value == nil:
			return false
		case b.name() == "url":
			return b.value.kind == nodeString && b.value.isLiteral() && f.value(b.value) == patch
		}
		return b.name() == "file" && b.value.kind == nodePath && f.isPatch(b.value, patch)
	})
}

var spaceAfter = lazyregexp.New(`\A[ \t]*(?:\r\n|\n|\r)`)

// withSpace returns the range of an item with the space before it, or with its line if nothing
// else is on it.
func (f *file) withSpace(n *node) (from, to int) {
	from = len(bytes.TrimRight(f.src[:n.from], " \t"))
	if after := spaceAfter().Find(f.src[n.to:]); after != nil && slices.Contains(f.lines, from) {
		return from, n.to + len(after)
	}
	return from, n.to
}

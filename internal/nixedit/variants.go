package nixedit

import "fmt"

// PatchVariant adds a patch to a variant, which must be a function in the file. It adds the
// patch to the list of `app: patchSource app [ … ]`, or otherwise puts a call of patchSource
// around the function's result. It takes patchSource from the file's arguments, and adds it
// there if it is missing.
type PatchVariant struct {
	Attribute // variants.NAME
	Patch     Patch
}

const patchSource = "patchSource"

func (p PatchVariant) splices(f *file) ([]splice, error) {
	b, err := f.binding(p.Attribute)
	if err != nil {
		return nil, err
	}
	result := f.resultOf(b)
	if result == nil {
		value, argument := "…", ""
		if b.value != nil {
			value = f.excerpt(b.value)
		}
		if b.value != nil && len(scopesOf(b.value, patchSource)) == 0 {
			argument = ", and patchSource as an argument of the file"
		}
		return nil, &Refusal{p.At, fmt.Sprintf("%s is not written as app: …, but %s: write %s = app: patchSource ((%s) app) [ %s ];%s",
			p.Path, value, b.name(), value, p.Patch, argument)}
	}
	byHand := fmt.Sprintf("%s = app: patchSource (%s) [ %s ];", b.name(), f.excerpt(result), p.Patch)
	all, err := f.argument(p.At, scopesOf(result, patchSource), byHand)
	if err != nil {
		return nil, err
	}
	if list := f.patchList(result); list != nil {
		return append(all, f.appended(list, p.Patch)), nil
	}
	open, end := patchSource+" (", ")"
	if result.kind == nodeName {
		open, end = patchSource+" ", ""
	}
	return append(all,
		splice{from: result.from, to: result.from, text: open},
		splice{from: result.to, to: result.to, text: fmt.Sprintf("%s [ %s ]", end, p.Patch)}), nil
}

// resultOf returns the result of a variant's function, or nil if the variant is something else.
func (f *file) resultOf(b *binding) *node {
	if b.value == nil {
		return nil
	}
	function := b.value.innermost()
	if function.kind != nodeLambda {
		return nil
	}
	result := function.children[len(function.children)-1].innermost()
	if result.kind == nodeLambda {
		return nil
	}
	return result
}

// patchList returns the list of a call patchSource app [ … ], or nil if n is something else.
func (f *file) patchList(n *node) *node {
	if n.kind != nodeApply || len(n.children) != 3 || n.children[0].kind != nodeName || f.text(n.children[0]) != patchSource {
		return nil
	}
	if list := n.children[2].innermost(); list.kind == nodeList {
		return list
	}
	return nil
}

package nixedit

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
)

// AddVariant adds the variant `variants.NAME = app: patchSource app [ ];` to the set that has
// the given attribute: below its other variants, or otherwise below its components. It takes
// patchSource from the file's arguments, and adds it there if it is missing.
type AddVariant struct {
	Attribute        // such as packageVersion
	Name      string // of the variant, lower-case letters and digits, with single _ or - between them
}

const (
	variants  = "variants"
	noPatches = "app: " + patchSource + " app [ ];"
)

var (
	nixName     = lazyregexp.New(`\A[a-z_][0-9a-z_-]*\z`)
	variantName = lazyregexp.New(`\A[0-9a-z]+(?:[_-][0-9a-z]+)*\z`)
	nixKeywords = []string{"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"}
)

// name returns the variant's name as Nix reads it.
func (v AddVariant) name() string {
	if !nixName().MatchString(v.Name) || slices.Contains(nixKeywords, v.Name) {
		return `"` + v.Name + `"`
	}
	return v.Name
}

func (v AddVariant) splices(f *file) ([]splice, error) {
	if !variantName().MatchString(v.Name) {
		return nil, fmt.Errorf("variant %s: expected a name of 0-9 a-z, with single _ or - between them", quote(v.Name))
	}
	b, err := f.binding(v.Attribute)
	if err != nil {
		return nil, err
	}
	text := variants + "." + v.name() + " = " + noPatches
	byHand := func(why string) error { return &Refusal{v.At, why + ": write " + text + " by hand"} }
	place := b // the new variant is below
	within := b.owner
	var others []*binding
	for _, other := range b.owner.bindings {
		switch other.path[0].name {
		case "components":
			if len(others) == 0 {
				place = other
			}
		case variants:
			others, place = append(others, other), other
		}
	}
	set := setOf(others)
	switch {
	case set != nil:
		within = set
	case slices.ContainsFunc(others, func(o *binding) bool { return o.value == nil || len(o.path) < 2 }):
		return nil, byHand("variants is not written as { … }, or as variants.NAME = …")
	case len(others) == 0 && b.owner.visible && f.uses(b.owner, variants):
		return nil, byHand("the set that it is in uses the name variants")
	}
	all, err := f.argument(v.At, scopesOf(&node{parent: within}, patchSource), text)
	switch {
	case err != nil:
		return nil, err
	case set != nil:
		return append(all, f.lastIn(set, v.name()+" = "+noPatches)), nil
	}
	return append(all, f.bindingBelow(place, text, len(others) == 0)), nil
}

// setOf returns the set in which all variants are written, if they are a single binding, or
// nil.
func setOf(bindings []*binding) *node {
	if len(bindings) != 1 || len(bindings[0].path) != 1 || bindings[0].value == nil {
		return nil
	}
	if set := bindings[0].value.innermost(); set.kind == nodeSet {
		return set
	}
	return nil
}

// argument makes patchSource available within scopes. It may have to add it to the file's
// arguments. byHand is the text to write if that cannot be done.
func (f *file) argument(at catalog.Position, scopes []scope, byHand string) ([]splice, error) {
	root := f.root.innermost()
	switch {
	case len(scopes) > 1:
		return nil, &Refusal{at, fmt.Sprintf("patchSource is bound at line %d and again at line %d: rename one of them",
			f.position(scopes[1].at).Line, f.position(scopes[0].at).Line)}
	case len(scopes) == 1:
		return nil, nil
	case root.kind == nodeLambda && root.formals > 0:
		return []splice{{from: root.formals, to: root.formals, text: ", " + patchSource}}, nil
	}
	return nil, &Refusal{at, "patchSource is not an argument of this file: pass it, and write " + byHand}
}

// bindingBelow adds a binding below another: on a line of its own, after an empty line if apart
// is true, or behind the other binding if that shares its line.
func (f *file) bindingBelow(b *binding, text string, apart bool) splice {
	indent, alone := f.indentOf(b.from)
	rest := restOfLine().FindSubmatch(f.src[b.to:])
	if !alone || rest == nil {
		return splice{from: b.to, to: b.to, text: " " + text}
	}
	lineEnd := string(rest[1])
	at := b.to + len(rest[0])
	text = indent + text + lineEnd
	if apart {
		text = lineEnd + text
	}
	return splice{from: at, to: at, text: text}
}

// lastIn adds a binding at the end of a set, on a line of its own if the } is on one.
func (f *file) lastIn(set *node, text string) splice {
	at := set.to - 1 // the }
	start := len(bytes.TrimRight(f.src[:at], " \t"))
	if !slices.Contains(f.lines, start) {
		if start == at {
			text = " " + text
		}
		return splice{from: at, to: at, text: text + " "}
	}
	indent := string(f.src[start:at])
	indent += unitOf(indent)
	if len(set.bindings) > 0 {
		if own, alone := f.indentOf(set.bindings[len(set.bindings)-1].from); alone {
			indent = own
		}
	}
	return splice{from: start, to: start, text: indent + text + f.lineEndBefore(start)}
}

// Package nixedit changes literals of a Nix file and nothing else. It does not evaluate the
// file: an evaluation returns an attribute's place, and the text at that place shows whether
// its value can be changed safely. If it does not understand something, it refuses the change,
// and names the place.
package nixedit

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/libresh/libre/internal/catalog"
)

// Change is one change of one file: Set, AddPins, RenamePin, AddPatch, CreatePatches,
// AddVariant, PatchVariant or DropPatch.
type Change interface {
	place() catalog.Position
	splices(f *file) ([]splice, error)
}

func (a Attribute) place() catalog.Position { return a.At }

// File returns the name of the file to change.
func File(c Change) string { return c.place().File }

// splice replaces the bytes from..to.
type splice struct {
	from, to int
	text     string
	literal  int    // start of the literal whose value changes
	value    *Value // its new value; nil for other changes
}

// Apply makes all changes or none, and returns the files that differ. All places are in the
// original files, under the name in Attribute.At.File. The error for an unsafe change is a
// *Refusal.
func Apply(files map[string][]byte, changes ...Change) (map[string][]byte, error) {
	opened := map[string]*file{}
	splices := map[string][]splice{}
	for _, c := range changes {
		name := c.place().File
		if opened[name] == nil {
			src, ok := files[name]
			if !ok {
				return nil, fmt.Errorf("changing %s: its text is not given", name)
			}
			f, err := open(name, src)
			if err != nil {
				return nil, err
			}
			opened[name] = f
		}
		s, err := c.splices(opened[name])
		if err != nil {
			return nil, err
		}
		splices[name] = append(splices[name], s...)
	}
	changed := map[string][]byte{}
	for name, f := range opened {
		text, err := f.apply(splices[name])
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(text, f.src) {
			changed[name] = text
		}
	}
	return changed, nil
}

// apply replaces from right to left, so offsets stay valid, and parses the result again.
func (f *file) apply(all []splice) ([]byte, error) {
	slices.SortStableFunc(all, func(a, b splice) int { return cmp.Or(a.from-b.from, a.to-b.to) })
	// Two attributes may refer to one literal: the same change of both is one change.
	all = slices.CompactFunc(all, func(a, b splice) bool {
		return (a.value == nil) == (b.value == nil) && a.from < a.to && a.from == b.from && a.to == b.to && a.text == b.text ||
			a.value != nil && b.value != nil && a.from == b.from && a.text == b.text
	})
	text := slices.Clone(f.src)
	for i, s := range slices.Backward(all) {
		if i > 0 && s.from < max(all[i-1].to, all[i-1].from+1) {
			return nil, f.refuse(s.from, "two different changes of the same place")
		}
		text = slices.Replace(text, s.from, s.to, []byte(s.text)...)
	}
	return text, f.verify(text, all)
}

// verify parses the changed text. Each literal must have its new value, and every token outside
// of the splices must be unchanged.
func (f *file) verify(text []byte, all []splice) error {
	after, err := open(f.name, text)
	if err != nil {
		return fmt.Errorf("changed text: %w", err)
	}
	grown := 0
	kept := f.tokens
	changedTokens := after.tokens
	for _, s := range all {
		if s.value != nil && !after.hasLiteral(s.literal+grown, *s.value) {
			return f.refuse(s.from, "the change does not give the value %s", s.value)
		}
		kept = outside(kept, s.from, s.to)
		changedTokens = outside(changedTokens, s.from+grown, s.from+grown+len(s.text))
		grown += len(s.text) - (s.to - s.from)
	}
	same := slices.EqualFunc(kept, changedTokens, func(a, b token) bool {
		return a.kind == b.kind && bytes.Equal(f.src[a.from:a.to], text[b.from:b.to])
	})
	if !same {
		return f.refuse(all[0].from, "the change affects more than its place")
	}
	return nil
}

// outside drops the tokens within from..to.
func outside(tokens []token, from, to int) []token {
	return slices.DeleteFunc(slices.Clone(tokens), func(t token) bool { return from <= t.from && t.to <= to && t.from < t.to })
}

func (f *file) hasLiteral(offset int, v Value) bool {
	found := false
	f.root.walk(func(n *node) bool {
		found = found || n.from == offset && n.isLiteral() && f.value(n) == v.text && v.integer == (n.kind == nodeInteger)
		return !found
	})
	return found
}

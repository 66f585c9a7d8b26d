package nixedit

import "fmt"

// RenamePin renames a base of a component. It does not change its value.
type RenamePin struct {
	Attribute        // the pin: components.web.bases.NAME
	Name      string // the base's new name
}

func (r RenamePin) splices(f *file) ([]splice, error) {
	b, err := f.binding(r.Attribute)
	if err != nil {
		return nil, err
	}
	refuse := func(why string) ([]splice, error) { return nil, &Refusal{r.At, r.Path + " " + why} }
	last := b.path[len(b.path)-1]
	switch {
	case !baseName().MatchString(r.Name) || len(r.Name) > 500:
		return refuse("cannot be named " + quote(r.Name) + ": rename it by hand")
	case b.value == nil:
		return refuse("is inherited: rename it by hand")
	case b.owner != nil && sibling(b, r.Name):
		return refuse("cannot be named " + quote(r.Name) + ", which exists already: remove one of them")
	}
	return []splice{{from: last.from, to: last.to, text: fmt.Sprintf("%q", r.Name)}}, nil
}

// sibling reports whether another binding of the same set has this name at the place of b's
// name.
func sibling(b *binding, name string) bool {
	for _, other := range b.owner.bindings {
		if other == b || len(other.path) != len(b.path) || !other.overlaps(&binding{path: b.path[:len(b.path)-1]}) {
			continue
		}
		if last := other.path[len(other.path)-1]; !last.static || last.name == name {
			return true
		}
	}
	return false
}

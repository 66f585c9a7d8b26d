package sbom

import (
	"path"
	"slices"
)

// Merge adds to the store paths of an image what was found in them: a store path
// depends on what is in it. The same package found in two store paths is two
// components, as it may need something else in each. rest is what was found in all
// files of an image that a Containerfile made, nil for others: it belongs to the
// image itself, unless it is in a store path. Nothing that is given is changed.
func Merge(closure *Document, found Findings, rest *Document) *Document {
	merged := *closure
	components := map[string]*Component{}
	for _, c := range closure.Components {
		components[c.ID] = &c
		if document := found[c.ID]; document != nil {
			c.DependsOn = slices.Concat(c.DependsOn, add(components, document, c.ID+separator))
		}
	}
	if rest != nil {
		merged.DependsOn = unique(slices.Concat(closure.DependsOn, add(components, outside(rest, closure), "")))
	}
	merged.Components = sorted(components)
	return &merged
}

// add puts what a document lists among the components, with a prefix to its IDs,
// and gives the IDs from which the others follow.
func add(components map[string]*Component, document *Document, prefix string) (entries []string) {
	for _, c := range document.Components {
		c.ID = prefix + c.ID
		c.DependsOn = prefixed(prefix, c.DependsOn)
		components[c.ID] = &c
	}
	return prefixed(prefix, document.DependsOn)
}

func prefixed(prefix string, ids []string) []string {
	var all []string
	for _, id := range ids {
		all = append(all, prefix+id)
	}
	return all
}

// outside leaves out what was found in store paths.
func outside(rest, closure *Document) *Document {
	storePaths := map[string]bool{} // their places in the image
	for _, c := range closure.Components {
		for _, where := range c.Where {
			storePaths[where] = true
		}
	}
	components := map[string]*Component{}
	for _, c := range rest.Components {
		left := slices.DeleteFunc(slices.Clone(c.Where), func(where string) bool { return isIn(storePaths, where) })
		if len(left) > 0 || len(c.Where) == 0 {
			c.Where = left
			components[c.ID] = &c
		}
	}
	return NewDocument(components)
}

// isIn tells whether a path of an image is, or is below, one of the places.
func isIn(places map[string]bool, where string) bool {
	for !places[where] {
		if where == "/" || where == "." {
			return false
		}
		where = path.Dir(where)
	}
	return true
}

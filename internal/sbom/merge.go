package sbom

import (
	"path"
	"slices"
)

// Merge adds to the store paths of an image the packages that were found in them. A store path
// depends on its packages. A package in two store paths is two components, because its
// dependencies may differ. rest has the packages in all files of a Containerfile image; it is
// nil for a Nix image. The image depends on the packages in rest that are not in a store path.
// Merge does not change its arguments.
func Merge(closure *Document, found Findings, rest *Document) *Document {
	merged := *closure
	components := map[string]*Component{}
	for _, c := range closure.Components {
		components[c.ID] = &c
		if document := found[c.ID]; document != nil {
			c.File = document.File
			c.DependsOn = slices.Concat(c.DependsOn, add(components, document, c.ID+separator))
		}
	}
	if rest != nil {
		merged.DependsOn = unique(slices.Concat(closure.DependsOn, add(components, outside(rest, closure), "")))
	}
	merged.Components = sorted(components)
	return &merged
}

// add adds the components of a document, with a prefix to their IDs. It returns the IDs that
// the document itself depends on.
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

// outside returns the packages of rest that are not in store paths.
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

// isIn reports whether a path of an image is one of the places, or below one.
func isIn(places map[string]bool, where string) bool {
	for !places[where] {
		if where == "/" || where == "." {
			return false
		}
		where = path.Dir(where)
	}
	return true
}

package sbom

import (
	"path"
	"slices"
)

// Merge adds to the store paths of an image what was found in its files. A store
// path depends on what was found in it; what was found elsewhere belongs to the
// path whose content is the image's root directory or, where there is none, to
// the image itself. What syft says of a store path that is known is left out.
// Both documents must be of the same image; neither is changed.
func Merge(closure, files *Document) *Document {
	components := map[string]*Component{}
	owners := map[string]*Component{} // by where they are in the image
	for _, c := range closure.Components {
		components[c.ID] = &c
		if c.StorePath == "" {
			continue
		}
		for _, where := range c.Where {
			owners[where] = &c
		}
	}
	loose := []string{}
	inside := map[*Component][]string{}
	for _, c := range files.Components {
		if components[c.ID] != nil || isStorePath(c, owners) {
			continue
		}
		components[c.ID] = &c
		owned := false
		for _, where := range c.Where {
			if owner := ownerOf(where, owners); owner != nil {
				inside[owner], owned = append(inside[owner], c.ID), true
			}
		}
		if !owned {
			loose = append(loose, c.ID)
		}
	}
	dependsOn := func(id string) []string {
		if c := components[id]; c != nil {
			return c.DependsOn
		}
		return nil
	}
	found := map[*Component][]string{} // before any edge is added
	for owner, ids := range inside {
		found[owner] = entries(ids, dependsOn)
	}
	top := slices.Concat(closure.DependsOn, entries(loose, dependsOn))
	for owner, ids := range found {
		owner.DependsOn = slices.Concat(owner.DependsOn, ids)
	}
	merged := *closure
	merged.Tools = slices.Clone(closure.Tools)
	for _, tool := range files.Tools {
		if !slices.Contains(merged.Tools, tool) {
			merged.Tools = append(merged.Tools, tool)
		}
	}
	merged.DependsOn = unique(top)
	merged.Components = sorted(components)
	return &merged
}

// ownerOf finds the component that is closest above a path of the image.
func ownerOf(where string, owners map[string]*Component) *Component {
	for {
		if owner := owners[where]; owner != nil {
			return owner
		}
		if where == "/" || where == "." {
			return nil
		}
		where = path.Dir(where)
	}
}

// isStorePath tells whether a finding is nothing but a store path that is known.
func isStorePath(c Component, owners map[string]*Component) bool {
	return c.Type == nixType && len(c.Where) > 0 && !slices.ContainsFunc(c.Where, func(where string) bool {
		return owners[where] == nil
	})
}

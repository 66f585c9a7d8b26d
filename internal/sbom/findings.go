package sbom

import (
	"slices"
	"strings"
)

// Findings are what was recognised in each store path of an image, by the ID of
// the store path. What is said of one follows from its content and its places in
// the image alone.
type Findings map[string]*Document

// separator is between a store path and what is found in it; no store path has it.
const separator = "#"

// Findings takes from the document of a former image what was found in those store
// paths of a closure that it lists with the same content at the same places. There
// are none in a document that other tools made, which may find something else, or
// in one that was not made store path by store path.
func (d *Document) Findings(closure *Document) Findings {
	if !slices.Equal(d.Tools, closure.Tools) {
		return nil
	}
	storePaths := map[string]Component{}
	components := map[string]map[string]*Component{} // by owner
	for _, c := range d.Components {
		if c.StorePath != "" {
			storePaths[c.ID], components[c.ID] = c, map[string]*Component{}
		}
	}
	for _, c := range d.Components {
		if c.StorePath != "" {
			continue
		}
		owner, id, _ := strings.Cut(c.ID, separator)
		if components[owner] == nil {
			return nil
		}
		c.ID = id
		c.DependsOn = slices.Clone(c.DependsOn)
		for i, other := range c.DependsOn {
			c.DependsOn[i] = strings.TrimPrefix(other, owner+separator)
		}
		components[owner][id] = &c
	}
	found := Findings{}
	for _, c := range closure.Components {
		former, ok := storePaths[c.ID]
		if ok && former.NarHash == c.NarHash && slices.Equal(former.Where, c.Where) {
			found[c.ID] = NewDocument(components[c.ID])
		}
	}
	return found
}

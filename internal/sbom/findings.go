package sbom

import (
	"slices"
	"strings"

	"github.com/anchore/packageurl-go"
)

// Findings are the packages found in each store path of an image, by the ID of the store
// path. They depend only on the content of the store path and its places in the image.
type Findings map[string]*Document

// separator separates a store path from the ID of a package in it. No store path has it.
const separator = "#"

// Findings returns the packages that the document d of an earlier image lists in store paths of
// a closure, if d has these store paths with the same content at the same places. It returns
// none if other versions of the tools made d, because they may find other packages, or if they
// did not read each store path separately.
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
		if c.StorePath != "" || c.Type == applicationType {
			continue
		}
		owner, id, _ := strings.Cut(c.ID, separator)
		if components[owner] == nil {
			return nil
		}
		c = undescribed(c, id)
		c.DependsOn = slices.Clone(c.DependsOn)
		for i, other := range c.DependsOn {
			c.DependsOn[i] = strings.TrimPrefix(other, owner+separator)
		}
		components[owner][id] = &c
	}
	found := Findings{}
	for _, c := range closure.Components {
		former, ok := storePaths[c.ID]
		if ok && former.NarHash == c.NarHash && slices.Equal(former.Where, c.Where) && former.File.SHA512 != "" {
			found[c.ID] = NewDocument(components[c.ID])
			found[c.ID].File = former.File
		}
	}
	return found
}

// undescribed returns a package as it was found, without the facts that Describe added.
// Describe changes only Go modules and programs; the ID has the package URL that was found.
func undescribed(c Component, id string) Component {
	c.ID = id
	switch c.Type {
	case binaryType:
		c.License, c.Creator = License{}, ""
		return c
	case goModuleType:
	default:
		return c
	}
	if c.PURL != id {
		c.PURL, c.Version = id, ""
		if purl, err := packageurl.FromString(id); err == nil {
			c.Version = purl.Version
		}
	}
	c.License, c.CPEs, c.Creator, c.Source, c.Patches = License{}, nil, "", Source{}, nil
	return c
}

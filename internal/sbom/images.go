package sbom

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/anchore/packageurl-go"
)

const containerType = "container"

// MergeImages joins the documents of an app's images to one: its components are the images and
// their components. A store path in several images is one component. Other packages are
// separate components for each image, because their files may differ.
func MergeImages(name, version string, images []*Document) (*Document, error) {
	if len(images) == 0 {
		return nil, errors.New("merging SBOMs: there are none")
	}
	merged := &Document{
		Subject: Subject{Name: name, Version: version, Created: images[0].Subject.Created},
		Tools:   images[0].Tools, Creator: images[0].Creator, Complete: true,
	}
	components := map[string]*Component{}
	for _, image := range images {
		if err := image.check(); err != nil {
			return nil, err
		}
		if !slices.Equal(image.Tools, merged.Tools) {
			return nil, fmt.Errorf("merging SBOMs: other tools made that of %s", image.Subject.Name)
		}
		id := image.Subject.PURL()
		rename := func(of string) string { return inImage(image, id, of) }
		own := &Component{
			ID: id, Name: image.Subject.Name, Version: image.Subject.Version, Type: containerType, PURL: id,
			Creator: image.Creator, License: image.License, DependsOn: renamed(image.DependsOn, rename),
		}
		components[id] = own
		merged.DependsOn = append(merged.DependsOn, id)
		merged.Complete = merged.Complete && image.Complete
		if merged.License.Expression == "" {
			merged.License = image.License
		}
		if image.Subject.Created.After(merged.Subject.Created) {
			merged.Subject.Created = image.Subject.Created
		}
		for _, c := range image.Components {
			c.ID, c.DependsOn = rename(c.ID), renamed(c.DependsOn, rename)
			if known := components[c.ID]; known != nil {
				c.Where, c.DependsOn = append(c.Where, known.Where...), append(c.DependsOn, known.DependsOn...)
			}
			components[c.ID] = &c
		}
	}
	merged.DependsOn = unique(merged.DependsOn)
	merged.Components = sorted(components)
	return merged, nil
}

// inImage returns the ID that a component of one of several images has in the joined document.
// The application is one component.
func inImage(image *Document, imageID, id string) string {
	at, found := slices.BinarySearchFunc(image.Components, id, func(c Component, id string) int { return strings.Compare(c.ID, id) })
	if owner, _, inside := strings.Cut(id, separator); inside && strings.HasPrefix(owner, "/") {
		return id // the component is in a store path
	}
	if found && (image.Components[at].StorePath != "" || image.Components[at].Type == applicationType) {
		return id
	}
	return imageID + separator + id
}

func renamed(ids []string, rename func(string) string) []string {
	var all []string
	for _, id := range ids {
		all = append(all, rename(id))
	}
	return all
}

// ofImages reports whether the document describes several images.
func (d *Document) ofImages() bool {
	return slices.ContainsFunc(d.Components, func(c Component) bool { return c.Type == containerType })
}

// appPURL returns the package URL of an app with several images.
func (s Subject) appPURL() string {
	return packageurl.NewPackageURL(packageurl.TypeGeneric, "", s.Name, s.Version, nil, "").ToString()
}

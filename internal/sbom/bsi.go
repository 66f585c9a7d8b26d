package sbom

import (
	"net/mail"
	"net/url"
	"slices"
	"strings"
)

// Missing lists what a component lacks. ID is "" for the document itself.
type Missing struct {
	ID, Name, Version string
	Fields            []string
}

// MissingForBSI lists the components that lack fields that BSI TR-03183-2 requires of each
// (version 2.1, sections 5.2.1 and 5.2.2), with the names of the fields there. The document
// always has a timestamp, the dependencies, and how complete these are. Some components are
// logical components without a file (section 3.2.2): the image, the application, packages of a
// distribution, and folders of store paths that are found by name in an image that an engine
// built.
func (d *Document) MissingForBSI() []Missing {
	var all []Missing
	if !isContact(d.Creator) {
		all = append(all, Missing{Fields: []string{"creator of the SBOM"}})
	}
	image := Component{ID: d.Subject.PURL(), Name: d.Subject.Name, Version: d.Subject.Version, Creator: d.Creator, License: d.License}
	for _, c := range append([]Component{image}, d.Components...) {
		missing := Missing{ID: c.ID, Name: c.Name, Version: c.Version}
		lacks := func(field string, isMissing bool) {
			if isMissing {
				missing.Fields = append(missing.Fields, field)
			}
		}
		logical := c.StorePath == "" && (len(c.Where) == 0 || c.Type == nixType || InDatabase(c.Type))
		lacks("component creator", !isContact(c.Creator))
		lacks("component name", c.Name == "")
		lacks("component version", c.Version == "")
		lacks("distribution licences", c.License.Expression == "")
		lacks("filename of the component", !logical && c.File.Name == "")
		lacks("hash value of the deployable component", !logical && c.File.SHA512 == "")
		if missing.Fields != nil {
			all = append(all, missing)
		}
	}
	return all
}

// InDatabase reports whether the packages of an ecosystem are listed in a database of the
// distribution, and have many files each.
func InDatabase(ecosystem string) bool {
	return slices.Contains([]string{"deb", "apk", "rpm", "alpm", "portage"}, ecosystem)
}

// isContact reports whether a text is a URL or an email address.
func isContact(text string) bool {
	if strings.Contains(text, "://") {
		page, err := url.Parse(text)
		return err == nil && page.Host != ""
	}
	address, err := mail.ParseAddress(text)
	return err == nil && address.Address == text
}

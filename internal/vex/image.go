package vex

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/anchore/packageurl-go"
	openvex "github.com/openvex/go-vex/pkg/vex"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/sbom"
)

// Image is an image for one platform, with the facts that statements depend on.
type Image struct {
	ID      catalog.ID
	Version string                 // of the app
	Changes []catalog.SourceChange // changes of the app's source, from the definition; none if unknown
	SBOM    *sbom.Document
}

// ChangesOf returns the changes of the source that a variant of an app is built from.
func ChangesOf(app catalog.App, variant string) []catalog.SourceChange {
	return slices.Concat(app.Changes, app.VariantChanges[variant])
}

// Answers are the statements about one image for one platform.
type Answers struct {
	all []answer

	// Absent are the statements about a package that the image does not have. They answer no
	// finding. The documents contain them unchanged, to show that somebody looked at the
	// vulnerability.
	Absent []Statement
	// Shared are package URLs that a patched component has in common with an unpatched component
	// of the image. No statement is made about them.
	Shared []string
}

// answer is a statement and the components that it is about.
type answer struct {
	Statement
	whole bool                // the image with all its components
	purls map[string]struct{} // of the components, as the SBOM has them
}

func (a *answer) isOf(purl string) bool {
	_, of := a.purls[purl]
	return a.whole || of
}

// For returns the statements about an image: those in its app's file that are about it, and
// those that follow from the patches of its components. If statements contradict each other,
// the error has a line for each pair.
func For(image Image, stated []Statement) (*Answers, error) {
	a := &Answers{}
	for _, s := range stated {
		if !s.isAbout(image.ID, image.Version) {
			continue
		}
		found := answer{Statement: s, whole: s.Package == ""}
		if !found.whole {
			found.purls = matching(image.SBOM, s.Package)
		}
		if !found.whole && len(found.purls) == 0 {
			a.Absent = append(a.Absent, s)
		}
		a.all = append(a.all, found)
	}
	a.addPatches(image)
	a.addUnplaced(image)
	return a, a.contradictions(image.ID)
}

// Answer returns the statement about a vulnerability in a component of the image. ids are all
// IDs of the vulnerability. purl is the component's package URL in the SBOM. If it is empty,
// only a statement about the whole image applies.
func (a *Answers) Answer(ids []string, purl string) (Statement, bool) {
	for _, found := range a.all {
		if found.concerns(ids) && found.isOf(purl) {
			return found.Statement, true
		}
	}
	return Statement{}, false
}

// Said is a statement about an image, with the components that it is about.
type Said struct {
	Statement
	PURLs []string // sorted; none for the whole image
}

// All returns the statements about the image, in the order of the file. Those that follow from
// patches are last.
func (a *Answers) All() []Said {
	var all []Said
	for _, found := range a.all {
		all = append(all, Said{found.Statement, found.list()})
	}
	return all
}

// matching returns the package URLs of components that match a pattern, which may lack version
// and qualifiers.
func matching(document *sbom.Document, pattern string) map[string]struct{} {
	purls := map[string]struct{}{}
	for _, c := range document.Components {
		if c.PURL != "" && openvex.PurlMatches(pattern, c.PURL) {
			purls[c.PURL] = struct{}{}
		}
	}
	return purls
}

// addPatches states that a vulnerability is fixed in the components that have the patch, and in
// the packages of a store path that was built with it, because a patch may change vendored
// packages.
func (a *Answers) addPatches(image Image) {
	type fix struct{ id, patch, hash string }
	index := map[fix]int{}
	patches := image.patches()
	for _, c := range image.SBOM.Components {
		for _, patch := range patches[c.ID] {
			for _, id := range patch.Resolves {
				if CheckID(id) != nil || c.PURL == "" {
					continue
				}
				key := fix{id, patch.Name, patch.Hash}
				n, known := index[key]
				if !known {
					n, index[key] = len(a.all), len(a.all)
					a.all = append(a.all, answer{purls: map[string]struct{}{}, Statement: Statement{
						Vulnerability: id, Status: Fixed, Patch: patch, Date: image.SBOM.Subject.Created,
						Place: fmt.Sprintf("patch %s of %s", path.Base(patch.Name), c.Name),
					}})
				}
				a.all[n].purls[c.PURL] = struct{}{}
			}
		}
	}
	a.dropShared(image.SBOM, patches)
}

// addUnplaced adds statements for patches of the definition if the SBOM has no component for
// them, because an older version of libre wrote it. Nobody knows which components have such a
// patch, so these statements answer no finding.
func (a *Answers) addUnplaced(image Image) {
	for _, change := range image.Changes {
		for _, id := range change.Fixes {
			name := path.Base(change.Patch)
			if slices.ContainsFunc(a.all, func(found answer) bool {
				return found.Vulnerability == id && path.Base(found.Patch.Name) == name
			}) {
				continue
			}
			s := Statement{
				Vulnerability: id, Status: Fixed, Patch: sbom.Patch{Name: name}, Date: image.SBOM.Subject.Created,
				Package: packageurl.NewPackageURL(packageurl.TypeGeneric, "", image.ID.App, image.Version, nil, "").ToString(),
				Place:   "patch " + name,
			}
			a.Absent = append(a.Absent, s)
			a.all = append(a.all, answer{Statement: s})
		}
	}
}

// dropShared removes package URLs that would also answer for a component without the patch.
func (a *Answers) dropShared(document *sbom.Document, patches map[string][]sbom.Patch) {
	for _, found := range a.all {
		if !found.isFix() {
			continue
		}
		fixes := func(p sbom.Patch) bool { return slices.Contains(p.Resolves, found.Vulnerability) }
		for _, c := range document.Components {
			if _, of := found.purls[c.PURL]; of && !slices.ContainsFunc(patches[c.ID], fixes) {
				delete(found.purls, c.PURL)
				a.Shared = append(a.Shared, c.PURL)
			}
		}
	}
	a.all = slices.DeleteFunc(a.all, func(found answer) bool { return found.isFix() && len(found.purls) == 0 })
	slices.Sort(a.Shared)
	a.Shared = slices.Compact(a.Shared)
}

// patches returns the patches of each component, by its ID: its own, and those of the store
// path that contains it. The IDs that the app's own patches fix come from the present
// definition, because an attested SBOM does not change.
func (i Image) patches() map[string][]sbom.Patch {
	var names []string
	fixes := map[string][]string{}
	for _, change := range i.Changes {
		if change.Patch != "" {
			name := path.Base(change.Patch)
			names, fixes[name] = append(names, name), change.Fixes
		}
	}
	own, all := map[string][]sbom.Patch{}, map[string][]sbom.Patch{}
	for _, c := range i.SBOM.Components {
		patches := slices.Clone(c.Patches)
		same := slices.EqualFunc(patches, names, func(p sbom.Patch, name string) bool { return path.Base(p.Name) == name })
		for n := range patches {
			if same {
				patches[n].Resolves = fixes[names[n]]
			}
		}
		own[c.ID] = patches
	}
	for _, c := range i.SBOM.Components {
		all[c.ID] = slices.Concat(own[c.ID], own[owner(c.ID)])
	}
	return all
}

// owner returns the ID of the store path that contains a package.
func owner(id string) string {
	if path, _, within := strings.Cut(id, "#"); within {
		return path
	}
	return ""
}

// contradictions returns an error for each pair of statements that give a component different
// statuses.
func (a *Answers) contradictions(id catalog.ID) error {
	var problems []error
	for i := range a.all {
		for j := range a.all[:i] {
			s, former := &a.all[i], &a.all[j]
			if s.concerns(former.IDs()) && !s.agrees(&former.Statement) && s.meets(former) {
				if s.isFix() && !former.isFix() {
					s, former = former, s // only the file can be changed
				}
				problems = append(problems, contradiction(&s.Statement, &former.Statement))
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", id, errors.Join(problems...))
}

// meets reports whether two answers have a component in common.
func (a *answer) meets(other *answer) bool {
	if a.whole || other.whole {
		return true
	}
	for purl := range a.purls {
		if _, common := other.purls[purl]; common {
			return true
		}
	}
	return false
}

// agrees reports whether two statements have the same status and reason.
func (s *Statement) agrees(other *Statement) bool {
	return s.Status == other.Status && s.Justification == other.Justification
}

// sameSubject reports whether two statements of a file are about the same package in a common
// image. If their versions differ, only an image can tell.
func (s *Statement) sameSubject(other *Statement) bool {
	common := func(a, b []string) bool {
		return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(word string) bool { return slices.Contains(b, word) })
	}
	return s.concerns(other.IDs()) && common(s.Components, other.Components) && common(s.Variants, other.Variants) &&
		reflect.DeepEqual(s.Versions, other.Versions) &&
		(s.Package == "" || other.Package == "" || openvex.PurlMatches(s.Package, other.Package) || openvex.PurlMatches(other.Package, s.Package))
}

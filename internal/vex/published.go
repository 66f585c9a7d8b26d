package vex

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anchore/packageurl-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/uuid"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/sbom"
)

// Predicate types of the attestations.
const (
	// OpenVEXType has no version: https://github.com/openvex/spec/blob/main/ATTESTING.md
	OpenVEXType = "https://openvex.dev/ns"
	// CycloneDXType differs from the type of an SBOM, so that a reader of SBOMs does not read it
	// as one.
	CycloneDXType = "https://cyclonedx.org/vex"
)

// Types lists both types.
var Types = []string{OpenVEXType, CycloneDXType}

// Published is an image in registries, with our statements about it.
type Published struct {
	Name      string   // docs-backend-default
	Tag       string   // 5.4.1-1
	Places    []string // REGISTRY[/NAMESPACE] of the registries that have it
	Index     v1.Hash
	Platforms []Platform
	Said      string    // digest of the statements that the documents are made from, see Digest
	Former    *Attested // the document that is attached already; nil if there is none
}

// Platform is a published image for one platform.
type Platform struct {
	SBOM    *sbom.Document
	Answers *Answers
}

// group is a statement about one vulnerability, with the same words, about components of one or
// more platforms.
type group struct {
	Statement
	answers []*answer // by platform; nil if there is none
}

// IsEmpty reports whether there is no statement about the image. Then no document can be made.
func (p *Published) IsEmpty() bool { return len(p.groups()) == 0 }

// groups returns the statements of all platforms, sorted by vulnerability. A statement from a
// file is one group, and so is a patch, however many platforms have it.
func (p *Published) groups() []group {
	var all []group
	for n, platform := range p.Platforms {
		for i := range platform.Answers.all {
			found := &platform.Answers.all[i]
			at := slices.IndexFunc(all, func(g group) bool { return g.answers[n] == nil && sameWords(&g.Statement, &found.Statement) })
			if at < 0 {
				at = len(all)
				all = append(all, group{Statement: found.Statement, answers: make([]*answer, len(p.Platforms))})
			}
			all[at].answers[n] = found
		}
	}
	all = append(all, p.withdrawn(all)...)
	slices.SortStableFunc(all, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.Vulnerability, b.Vulnerability), cmp.Compare(a.Patch.Hash, b.Patch.Hash), cmp.Compare(a.Patch.Name, b.Patch.Name))
	})
	return all
}

// withdrawn returns a group for each vulnerability that is only in the former document. Their
// status becomes under investigation, because readers of the former document would otherwise
// keep the old statement.
func (p *Published) withdrawn(now []group) []group {
	if p.Former == nil {
		return nil
	}
	var all []group
	for _, s := range p.Former.document.Statements {
		former := readStatement(s)
		about := func(g group) bool { return g.Vulnerability == former.Vulnerability }
		if slices.ContainsFunc(now, about) || slices.ContainsFunc(all, about) || CheckID(former.Vulnerability) != nil {
			continue
		}
		g := group{Statement: Statement{
			Vulnerability: former.Vulnerability, Aliases: former.Aliases, Status: UnderInvestigation,
			Notes: "The former statement was withdrawn.", Date: p.Former.document.Timestamp.UTC(),
		}}
		for range p.Platforms {
			g.answers = append(g.answers, &answer{Statement: g.Statement, whole: true})
		}
		all = append(all, g)
	}
	return all
}

// sameWords reports whether two statements differ only in their subject.
func sameWords(a, b *Statement) bool {
	return a.Vulnerability == b.Vulnerability && slices.Equal(a.Aliases, b.Aliases) && a.agrees(b) &&
		a.Action == b.Action && a.Notes == b.Notes && a.Package == b.Package &&
		a.Date.Equal(b.Date) && a.Patch.Hash == b.Patch.Hash && a.Patch.Name == b.Patch.Name
}

// everywhere returns the package URLs that an answer is true for in each platform that has
// them. whole is true if it is about the whole image.
func (p *Published) everywhere(g group) (purls []string, whole bool) {
	whole = true
	said := map[string]bool{}
	for n, platform := range p.Platforms {
		found := g.answers[n]
		whole = whole && found != nil && found.whole
		for _, c := range platform.SBOM.Components {
			if c.PURL == "" {
				continue
			}
			before, known := said[c.PURL]
			said[c.PURL] = (before || !known) && found != nil && found.isOf(c.PURL)
		}
	}
	if whole {
		return nil, true
	}
	if !slices.ContainsFunc(g.answers, func(a *answer) bool { return a != nil && (a.whole || len(a.purls) > 0) }) {
		return []string{g.Package}, false
	}
	for purl, is := range said {
		if is {
			purls = append(purls, purl)
		}
	}
	slices.Sort(purls)
	return purls, false
}

// timestamp returns the newest day of the statements.
func timestamp(groups []group) time.Time {
	return slices.MaxFunc(groups, func(a, b group) int { return a.Date.Compare(b.Date) }).Date.UTC()
}

// author returns the author of the image's SBOMs.
func (p *Published) author() string { return cmp.Or(p.Platforms[0].SBOM.Creator, "libre") }

// id returns the ID of the image's documents in one format. If their content changes, the ID
// stays and the version rises.
func (p *Published) id(format string) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://libre.sh/vex/"+format+"/"+p.Name+"@"+p.Index.String()))
}

// ociPURL returns a package URL without qualifiers. Scanners use qualifiers that we do not
// know, and match a URL without any.
// https://github.com/package-url/purl-spec/blob/main/types/oci-definition.json
func (p *Published) ociPURL(digest v1.Hash) string {
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(p.Name), digest.String(), nil, "").ToString()
}

// dockerPURL returns the form of package URL that Docker Scout looks for.
// https://docs.docker.com/scout/how-tos/create-exceptions-vex/
func (p *Published) dockerPURL(place string) string {
	place = strings.TrimPrefix(strings.TrimPrefix(place, "index.docker.io"), "docker.io")
	return packageurl.NewPackageURL(packageurl.TypeDocker, strings.Trim(place, "/"), p.Name, p.Tag, nil, "").ToString()
}

// notes returns the reason of a statement: for a patch its name and hash.
func (s *Statement) notes() string {
	if s.isFix() {
		return fmt.Sprintf("fixed by the patch %s (%s)", s.Patch.Name, s.Patch.Hash)
	}
	return s.Notes
}

// Digest returns a hash of everything that the documents about an image are made from, except
// the image itself: the statements of its app's file that are about it, the patches of its
// definition that fix something, and where it is published. It is known before the SBOM. It is
// empty if neither the file nor the definition has a statement. What patches of packages fix is
// known from the image.
func Digest(id catalog.ID, version string, stated []Statement, changes []catalog.SourceChange, places []string) (string, error) {
	said := struct {
		Format     int
		Statements []Statement
		Versions   string
		Fixes      [][]string
		Places     []string
	}{Format: format, Places: places, Versions: version}
	for _, s := range stated {
		if s.isAbout(id, version) {
			s.Place, s.Components, s.Variants, s.Versions, s.Expires = "", nil, nil, catalog.Range{}, time.Time{}
			said.Statements = append(said.Statements, s)
		}
	}
	for _, change := range changes {
		if len(change.Fixes) > 0 {
			said.Fixes = append(said.Fixes, append([]string{change.Patch}, change.Fixes...))
		}
	}
	if len(said.Statements) == 0 && len(said.Fixes) == 0 {
		return "", nil
	}
	text, err := json.Marshal(said)
	return fmt.Sprintf("sha256:%x", sha256.Sum256(text)), err
}

// format is the version of the documents. Raise it if they change for the same statements.
const format = 1

func encode(document any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(document)
	return text.Bytes(), err
}

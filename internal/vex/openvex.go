package vex

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anchore/packageurl-go"
	openvex "github.com/openvex/go-vex/pkg/vex"
)

// tooling is the start of the field that says how a document was made. The digest follows.
const tooling = "libre, from statements "

// OpenVEX returns the statements about the image as OpenVEX 0.2.0. The products are the digests
// of the index and of each platform, and the tag in each registry. A component is a
// subcomponent of these, never a product, because scanners would otherwise apply the statement
// to every image that has the component. The same arguments give the same bytes.
//
// Of several matching statements, grype 0.120 takes the earliest and Trivy 0.74 the latest. So
// there is only one for each vulnerability and component.
// https://github.com/openvex/spec/blob/v0.2.0/OPENVEX-SPEC.md
func (p *Published) OpenVEX(version int) ([]byte, error) {
	groups := p.groups()
	if len(groups) == 0 {
		return nil, fmt.Errorf("writing OpenVEX of %s: there are no statements about it", p.Name)
	}
	day := timestamp(groups)
	document := openvex.VEX{Metadata: openvex.Metadata{
		Context: openvex.ContextLocator(), ID: p.id("openvex").URN(), Author: p.author(),
		Timestamp: &day, Version: version, Tooling: tooling + p.Said,
	}}
	named := p.named()
	for _, g := range groups {
		statement := openvex.Statement{
			Vulnerability: openvex.Vulnerability{Name: openvex.VulnerabilityID(g.Vulnerability)},
			Timestamp:     &g.Date, Products: p.products(g, named), Status: openvex.Status(g.Status),
			Justification: openvex.Justification(g.Justification), ActionStatement: g.Action,
		}
		for _, alias := range g.Aliases {
			statement.Vulnerability.Aliases = append(statement.Vulnerability.Aliases, openvex.VulnerabilityID(alias))
		}
		if g.Status == NotAffected {
			statement.ImpactStatement = g.notes()
		} else {
			statement.StatusNotes = g.notes()
		}
		if err := statement.Validate(); err != nil {
			return nil, fmt.Errorf("writing OpenVEX of %s: %s: %w", p.Name, g.Vulnerability, err)
		}
		document.Statements = append(document.Statements, statement)
	}
	return encode(&document)
}

// products returns the images that a statement is about, with the components in them.
func (p *Published) products(g group, named []map[string][]string) []openvex.Product {
	var all []openvex.Product
	add := func(id string, purls []string, whole bool, of []map[string][]string) {
		if whole || len(purls) > 0 {
			all = append(all, openvex.Product{Component: openvex.Component{ID: id}, Subcomponents: subcomponents(purls, of)})
		}
	}
	purls, whole := p.everywhere(g)
	add(p.ociPURL(p.Index), purls, whole, named)
	for n, platform := range p.Platforms {
		if found := g.answers[n]; found != nil {
			add(p.ociPURL(platform.SBOM.Subject.Manifest), found.list(), found.whole, named[n:n+1])
		}
	}
	for _, place := range p.Places {
		add(p.dockerPURL(place), purls, whole, named)
	}
	return all
}

// subcomponents names packages as the SBOM does, and as scanners do that read the image. It
// leaves out names that another component of the image also has, such as an unpatched build of
// the same version.
func subcomponents(purls []string, of []map[string][]string) []openvex.Subcomponent {
	isOther := func(purl string) bool {
		_, listed := slices.BinarySearch(purls, purl)
		return !listed
	}
	var all []openvex.Subcomponent
	for _, purl := range purls {
		component := openvex.Component{ID: purl}
		plain := scannersName(purl)
		if plain != purl && !slices.ContainsFunc(of, func(names map[string][]string) bool { return slices.ContainsFunc(names[plain], isOther) }) {
			component.Identifiers = map[openvex.IdentifierType]string{openvex.PURL: plain}
		}
		all = append(all, openvex.Subcomponent{Component: component})
	}
	return all
}

// named returns the package URLs of each platform's components, by each name that scanners may
// use for them.
func (p *Published) named() []map[string][]string {
	var all []map[string][]string
	for _, platform := range p.Platforms {
		names := map[string][]string{}
		for _, c := range platform.SBOM.Components {
			for _, name := range []string{c.PURL, unqualified(c.PURL), scannersName(c.PURL)} {
				names[name] = append(names[name], c.PURL)
			}
		}
		all = append(all, names)
	}
	return all
}

// scannersName returns the package URL that scanners use for a package if it differs from the
// SBOM's. They use other qualifiers. Trivy 0.74 writes the version of a Go program's main
// module without a v, and that of the standard library with one. It writes the epoch of a
// Debian package as a qualifier.
func scannersName(purl string) string {
	plain := unqualified(purl)
	parsed, err := packageurl.FromString(plain)
	switch {
	case err != nil:
		return plain
	case parsed.Type == packageurl.TypeGolang && parsed.Version != "":
		version, isV := strings.CutPrefix(parsed.Version, "v")
		if !isV {
			version = "v" + version
		}
		parsed.Version = version
	case parsed.Type == packageurl.TypeDebian:
		_, version, hasEpoch := strings.Cut(parsed.Version, ":")
		if !hasEpoch {
			return plain
		}
		parsed.Version = version
	default:
		return plain
	}
	return parsed.ToString()
}

// unqualified returns a package URL without qualifiers and subpath.
func unqualified(purl string) string {
	parsed, err := packageurl.FromString(purl)
	if err != nil || len(parsed.Qualifiers) == 0 && parsed.Subpath == "" {
		return purl
	}
	parsed.Qualifiers, parsed.Subpath = nil, ""
	return parsed.ToString()
}

// list returns the package URLs that an answer is about, sorted: none for the whole image, and
// the pattern for a package that the image does not have.
func (a *answer) list() []string {
	if !a.whole && len(a.purls) == 0 {
		return []string{a.Package}
	}
	var purls []string
	for purl := range a.purls {
		purls = append(purls, purl)
	}
	slices.Sort(purls)
	return purls
}

// Attested is an OpenVEX document of a published image.
type Attested struct {
	Version int
	Said    string // Digest of what it was made from

	document openvex.VEX
}

// ReadOpenVEX reads a document that was attested for an image. It trusts the content: first
// verify who signed it.
func ReadOpenVEX(predicate []byte) (*Attested, error) {
	a := &Attested{}
	if err := json.Unmarshal(predicate, &a.document); err != nil {
		return nil, fmt.Errorf("reading OpenVEX: %w", err)
	}
	a.Version = a.document.Version
	if a.document.Context == "" || a.Version < 1 || a.document.Timestamp == nil {
		return nil, errors.New("reading OpenVEX: it has no context, no version or no timestamp")
	}
	for i := range a.document.Statements {
		s := &a.document.Statements[i]
		if err := s.Validate(); err != nil {
			return nil, fmt.Errorf("reading OpenVEX: %w", err)
		}
		if s.Timestamp == nil {
			s.Timestamp = a.document.Timestamp
		}
	}
	a.Said, _ = strings.CutPrefix(a.document.Tooling, tooling)
	return a, nil
}

// Count returns the number of statements in a document, about all components.
func (a *Attested) Count() int { return len(a.document.Statements) }

// Timestamp returns the day of a document's newest statement.
func (a *Attested) Timestamp() *time.Time { return a.document.Timestamp }

// Answers returns the statements about an image by the digest of its index or of a platform.
func (a *Attested) Answers(name, digest string) *Answers {
	answers := &Answers{}
	product := packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(name), digest, nil, "").ToString()
	for _, s := range a.document.Statements {
		for _, p := range s.Products {
			if !p.Component.Matches(product) {
				continue
			}
			found := answer{Statement: readStatement(s), whole: len(p.Subcomponents) == 0, purls: map[string]struct{}{}}
			for _, sub := range p.Subcomponents {
				found.purls[sub.ID] = struct{}{}
			}
			answers.all = append(answers.all, found)
		}
	}
	return answers
}

func readStatement(s openvex.Statement) Statement {
	read := Statement{
		Vulnerability: string(s.Vulnerability.Name), Status: Status(s.Status), Justification: string(s.Justification),
		Action: s.ActionStatement, Notes: s.StatusNotes + s.ImpactStatement,
	}
	for _, alias := range s.Vulnerability.Aliases {
		read.Aliases = append(read.Aliases, string(alias))
	}
	if s.Timestamp != nil {
		read.Date = *s.Timestamp
	}
	return read
}

// Image returns the image name in a document's products, or "" if there is none.
func (a *Attested) Image() string {
	for _, s := range a.document.Statements {
		for _, p := range s.Products {
			if purl, err := packageurl.FromString(p.ID); err == nil && purl.Type == packageurl.TypeOCI {
				return purl.Name
			}
		}
	}
	return ""
}

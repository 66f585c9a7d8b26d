package vex

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// saidProperty is the name of a property with the digest of the statements that a document was
// made from.
const saidProperty = "libre:statements"

// CycloneDX returns the statements about the image as a CycloneDX 1.6 VEX: a separate document
// that links to the components of the attested SBOMs. The same arguments give the same bytes.
//
// There is one entry for each vulnerability, because readers such as Trivy keep one entry by
// its ID. If components have different states, the entry has the worst state and only the
// components with it. So no open vulnerability is hidden.
// https://cyclonedx.org/capabilities/vex/
func (p *Published) CycloneDX(version int) ([]byte, error) {
	groups := p.groups()
	if len(groups) == 0 {
		return nil, fmt.Errorf("writing CycloneDX VEX of %s: there are no statements about it", p.Name)
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = p.id("cyclonedx").URN()
	bom.Version = version
	bom.Metadata = &cdx.Metadata{
		Timestamp: timestamp(groups).Format(time.RFC3339),
		Authors:   &[]cdx.OrganizationalContact{{Name: p.author()}},
		Component: &cdx.Component{
			BOMRef: p.ociPURL(p.Index), Type: cdx.ComponentTypeContainer, Name: p.Name, Version: p.Tag, PackageURL: p.ociPURL(p.Index),
		},
		Properties: &[]cdx.Property{{Name: saidProperty, Value: p.Said}},
	}
	serials, err := p.serials()
	if err != nil {
		return nil, err
	}
	var vulnerabilities []cdx.Vulnerability
	for len(groups) > 0 {
		id := groups[0].Vulnerability
		n := slices.IndexFunc(groups, func(g group) bool { return g.Vulnerability != id })
		if n < 0 {
			n = len(groups)
		}
		entry, err := p.vulnerability(groups[:n], serials)
		if err != nil {
			return nil, err
		}
		vulnerabilities, groups = append(vulnerabilities, entry), groups[n:]
	}
	bom.Vulnerabilities = &vulnerabilities
	var text bytes.Buffer
	encoder := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	if err := encoder.EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("writing CycloneDX VEX of %s: %w", p.Name, err)
	}
	return text.Bytes(), nil
}

// severity orders statuses, the worst first.
var severity = []Status{Affected, UnderInvestigation, NotAffected, Fixed}

// serials returns the serial numbers of each platform's SBOM. This takes a while.
func (p *Published) serials() (all []string, err error) {
	for _, platform := range p.Platforms {
		serial, err := platform.SBOM.SerialNumber()
		if err != nil {
			return nil, err
		}
		all = append(all, serial)
	}
	return all, nil
}

// vulnerability returns the entry of one vulnerability. All groups are about it.
func (p *Published) vulnerability(groups []group, serials []string) (cdx.Vulnerability, error) {
	first := slices.MinFunc(groups, func(a, b group) int {
		return cmp.Compare(slices.Index(severity, a.Status), slices.Index(severity, b.Status))
	})
	groups = slices.DeleteFunc(slices.Clone(groups), func(g group) bool { return !g.agrees(&first.Statement) })
	entry := cdx.Vulnerability{BOMRef: first.Vulnerability, ID: first.Vulnerability, Analysis: &cdx.VulnerabilityAnalysis{
		State: first.state(), Justification: justifications[first.Justification],
	}}
	var details, aliases []string
	var affects []string
	day, last := first.Date, first.Date
	for _, g := range groups {
		links, err := p.links(g, serials)
		if err != nil {
			return entry, err
		}
		affects, aliases = append(affects, links...), append(aliases, g.Aliases...)
		if detail := strings.TrimSpace(g.Action + "\n" + g.notes()); detail != "" && !slices.Contains(details, detail) {
			details = append(details, detail)
		}
		if g.Date.Before(day) {
			day = g.Date
		}
		if g.Date.After(last) {
			last = g.Date
		}
	}
	entry.Analysis.Detail = strings.Join(details, "\n")
	entry.Analysis.FirstIssued, entry.Analysis.LastUpdated = day.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339)
	if first.Status == Affected {
		entry.Recommendation = first.Action
	}
	if references := references(aliases); len(references) > 0 {
		entry.References = &references
	}
	slices.Sort(affects)
	affected := []cdx.Affects{}
	for _, link := range slices.Compact(affects) {
		affected = append(affected, cdx.Affects{Ref: link})
	}
	entry.Affects = &affected
	return entry, nil
}

// references returns references to other IDs of the same vulnerability.
func references(aliases []string) []cdx.VulnerabilityReference {
	var all []cdx.VulnerabilityReference
	for _, alias := range slices.Compact(slices.Sorted(slices.Values(aliases))) {
		all = append(all, cdx.VulnerabilityReference{ID: alias, Source: &cdx.Source{Name: source(alias)}})
	}
	return all
}

// source returns the name of the database that gives an ID.
func source(id string) string {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "CVE":
		return "NVD"
	case "GHSA":
		return "GitHub Advisories"
	}
	return prefix
}

// links returns the BOM-Links to the components that a statement is about, in the SBOM of each
// platform.
// https://cyclonedx.org/capabilities/bomlink/
func (p *Published) links(g group, serials []string) ([]string, error) {
	var all []string
	for n, platform := range p.Platforms {
		found := g.answers[n]
		if found == nil {
			continue
		}
		link := func(ref string) error {
			link, err := cdx.NewBOMLink(serials[n], 1, cdx.Component{BOMRef: ref})
			if err != nil {
				return fmt.Errorf("linking to the SBOM of %s: %w", p.Name, err)
			}
			all = append(all, link.String())
			return nil
		}
		if found.whole {
			if err := link(platform.SBOM.Subject.PURL()); err != nil {
				return nil, err
			}
			continue
		}
		for _, c := range platform.SBOM.Components {
			if _, of := found.purls[c.PURL]; of {
				if err := link(c.ID); err != nil {
					return nil, err
				}
			}
		}
	}
	return all, nil
}

// states are CycloneDX's words for statuses.
// https://cyclonedx.org/docs/1.6/json/#vulnerabilities_items_analysis_state
var states = map[Status]cdx.ImpactAnalysisState{
	NotAffected: cdx.IASNotAffected, Affected: cdx.IASExploitable,
	UnderInvestigation: cdx.IASInTriage, Fixed: cdx.IASResolved,
}

// state returns the status in CycloneDX's words. The SBOM has patches as pedigree.
func (s *Statement) state() cdx.ImpactAnalysisState {
	if s.isFix() {
		return cdx.IASResolvedWithPedigree
	}
	return states[s.Status]
}

var justifications = map[string]cdx.ImpactAnalysisJustification{
	"component_not_present":                             cdx.IAJCodeNotPresent,
	"vulnerable_code_not_present":                       cdx.IAJCodeNotPresent,
	"vulnerable_code_not_in_execute_path":               cdx.IAJCodeNotReachable,
	"vulnerable_code_cannot_be_controlled_by_adversary": cdx.IAJRequiresEnvironment,
	"inline_mitigations_already_exist":                  cdx.IAJProtectedByMitigatingControl,
}

// ReadCycloneDX reads the fields that distinguish documents of one image: the version, the
// digest of the statements that it was made from, and the image's name.
func ReadCycloneDX(predicate []byte) (version int, said, image string, err error) {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(predicate), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return 0, "", "", fmt.Errorf("reading CycloneDX VEX: %w", err)
	}
	if bom.Metadata == nil || bom.Metadata.Component == nil || bom.Vulnerabilities == nil {
		return 0, "", "", fmt.Errorf("reading CycloneDX VEX: it names no image or no vulnerability")
	}
	if bom.Metadata.Properties != nil {
		for _, property := range *bom.Metadata.Properties {
			if property.Name == saidProperty {
				said = property.Value
			}
		}
	}
	return bom.Version, said, bom.Metadata.Component.Name, nil
}

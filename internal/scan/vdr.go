package scan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"

	"github.com/libresh/libre/internal/vex"
)

// VDR makes a CycloneDX 1.6 vulnerability disclosure report: a separate document whose
// vulnerabilities link to the components in the images' SBOMs. The same report gives the same
// bytes.
// https://cyclonedx.org/capabilities/vdr/
func VDR(report *Report, version string) ([]byte, error) {
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{
		Timestamp: report.Time().Format(time.RFC3339),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "libre", Version: version}}},
		Properties: &[]cdx.Property{
			{Name: "libre:database-built", Value: report.Database.Built.Format(time.RFC3339)},
			{Name: "libre:database-schema", Value: report.Database.Schema},
		},
	}
	for _, failure := range report.Failed {
		*bom.Metadata.Properties = append(*bom.Metadata.Properties, cdx.Property{Name: "libre:not-scanned", Value: failure})
	}
	components, vulnerabilities := []cdx.Component{}, []cdx.Vulnerability{}
	index := map[string]int{}
	for _, image := range report.Images {
		serial, err := image.Document.SerialNumber()
		if err != nil {
			return nil, err
		}
		subject := image.Document.Subject
		components = append(components, cdx.Component{
			BOMRef: serial, Type: cdx.ComponentTypeContainer, Name: image.Name, Version: subject.Version,
			Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: subject.Manifest.Hex}},
		})
		for _, finding := range image.Findings {
			entry := vulnerabilityOf(&finding)
			n, known := index[entry.BOMRef]
			if !known {
				n, index[entry.BOMRef] = len(vulnerabilities), len(vulnerabilities)
				vulnerabilities = append(vulnerabilities, entry)
			}
			link, err := cdx.NewBOMLink(serial, 1, cdx.Component{BOMRef: finding.Component.ID})
			if err != nil {
				return nil, fmt.Errorf("linking to %s: %w", image.Name, err)
			}
			addAffected(vulnerabilities[n].Affects, link.String(), finding.Component.Version)
		}
	}
	bom.Components, bom.Vulnerabilities = unlessSeen(components), &vulnerabilities
	content := encode(bom)
	bom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceURL, content).URN()
	return encode(bom), nil
}

// encode cannot fail, because it writes documents from this package to memory.
func encode(bom *cdx.BOM) []byte {
	var b bytes.Buffer
	_ = cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
	return b.Bytes()
}

// unlessSeen drops duplicates: images that a report lists under several tags.
func unlessSeen(components []cdx.Component) *[]cdx.Component {
	var all []cdx.Component
	for _, c := range components {
		if !slices.ContainsFunc(all, func(other cdx.Component) bool { return other.BOMRef == c.BOMRef }) {
			all = append(all, c)
		}
	}
	return &all
}

// mostVersion is the longest version that CycloneDX 1.6 allows.
const mostVersion = 1024

func addAffected(all *[]cdx.Affects, link, version string) {
	if slices.ContainsFunc(*all, func(a cdx.Affects) bool { return a.Ref == link }) {
		return
	}
	affected := cdx.Affects{Ref: link}
	if version != "" && len(version) <= mostVersion {
		affected.Range = &[]cdx.AffectedVersions{{Version: version, Status: cdx.VulnerabilityStatusAffected}}
	}
	*all = append(*all, affected)
}

// vulnerabilityOf makes the entry of a finding. Findings with the same ID and the same
// statement share an entry.
func vulnerabilityOf(f *Finding) cdx.Vulnerability {
	entry := cdx.Vulnerability{
		BOMRef: f.ID, ID: f.ID, Description: f.Description, Affects: &[]cdx.Affects{},
		Ratings: &[]cdx.VulnerabilityRating{rating(f)},
	}
	if strings.HasPrefix(f.URL, "https://") {
		entry.Source = &cdx.Source{URL: f.URL}
	}
	var aliases []cdx.VulnerabilityReference
	for _, alias := range f.Aliases {
		aliases = append(aliases, cdx.VulnerabilityReference{ID: alias, Source: &cdx.Source{Name: strings.SplitN(alias, "-", 2)[0]}})
	}
	if len(aliases) > 0 {
		entry.References = &aliases
	}
	if f.Fixable() {
		entry.Recommendation = f.Component.Name + ": update to " + strings.Join(f.FixedIn, " or ")
		entry.BOMRef += " " + f.Component.Name + " " + strings.Join(f.FixedIn, ",")
	}
	if f.Answer != nil {
		entry.Analysis = &cdx.VulnerabilityAnalysis{State: states[f.Answer.Status], Detail: f.Answer.Says}
		entry.BOMRef += " " + f.Answer.Says
	}
	properties := []cdx.Property{}
	if f.EPSS > 0 {
		properties = append(properties, cdx.Property{Name: "libre:epss", Value: fmt.Sprintf("%g", f.EPSS)})
	}
	if f.KEV {
		properties = append(properties, cdx.Property{Name: "libre:known-exploited", Value: "true"})
	}
	if len(properties) > 0 {
		entry.Properties = &properties
	}
	return entry
}

func rating(f *Finding) cdx.VulnerabilityRating {
	rating := cdx.VulnerabilityRating{Severity: cdx.SeverityUnknown}
	switch f.Severity {
	case "critical", "high", "medium", "low":
		rating.Severity = cdx.Severity(f.Severity)
	case "negligible":
		rating.Severity = cdx.SeverityInfo
	}
	if f.CVSS > 0 {
		rating.Score = &f.CVSS
	}
	return rating
}

// states maps statuses to CycloneDX's words.
var states = map[vex.Status]cdx.ImpactAnalysisState{
	vex.NotAffected: cdx.IASNotAffected, vex.Affected: cdx.IASExploitable,
	vex.UnderInvestigation: cdx.IASInTriage, vex.Fixed: cdx.IASResolved,
}

package compare

import (
	"cmp"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/scan"
)

// VulnerabilitiesDelta compares the known vulnerabilities of two images. It ignores those that
// patches or statements settle.
type VulnerabilitiesDelta struct {
	Fixed     []Vulnerability `json:"fixed"`     // by severity, the worst first
	New       []Vulnerability `json:"new"`       // by severity, the worst first
	Remaining int             `json:"remaining"` // number of vulnerabilities that both have
}

// Vulnerability is a known vulnerability of one package.
type Vulnerability struct {
	ID       string        `json:"id"` // the CVE, if it has one
	Aliases  []string      `json:"aliases,omitempty"`
	Severity scan.Severity `json:"severity"`
	Package  string        `json:"package"`           // name of the component
	Type     string        `json:"type,omitempty"`    // its ecosystem
	Version  string        `json:"version,omitempty"` // version of the component
	Settled  string        `json:"settled,omitempty"` // of a fixed one: the statement that settles it; "" if the second image does not have it
}

func vulnerabilities(from, to []scan.Finding) *VulnerabilitiesDelta {
	was, is := openFindings(from), openFindings(to)
	settled := map[string]string{}
	for _, finding := range to {
		if finding.Settled() {
			settled[findingKey(&finding)] = finding.Answer.Says
		}
	}
	delta := &VulnerabilitiesDelta{Fixed: []Vulnerability{}, New: []Vulnerability{}}
	for key, finding := range was {
		if _, still := is[key]; still {
			delta.Remaining++
		} else {
			delta.Fixed = append(delta.Fixed, vulnerability(finding, settled[key]))
		}
	}
	for key, finding := range is {
		if _, had := was[key]; !had {
			delta.New = append(delta.New, vulnerability(finding, ""))
		}
	}
	slices.SortFunc(delta.Fixed, worseFirst)
	slices.SortFunc(delta.New, worseFirst)
	return delta
}

// openFindings returns the findings that are not settled, by vulnerability and package.
func openFindings(findings []scan.Finding) map[string]*scan.Finding {
	all := map[string]*scan.Finding{}
	for i := range findings {
		key := findingKey(&findings[i])
		if !findings[i].Settled() && all[key] == nil {
			all[key] = &findings[i]
		}
	}
	return all
}

func findingKey(f *scan.Finding) string {
	return strings.Join([]string{f.Vulnerability.Name(), f.Component.Type, f.Component.Name}, "\x00")
}

func vulnerability(f *scan.Finding, settled string) Vulnerability {
	name := f.Vulnerability.Name()
	aliases := slices.DeleteFunc(f.IDs(), func(id string) bool { return id == name })
	return Vulnerability{name, aliases, f.Severity, f.Component.Name, f.Component.Type, f.Component.Version, settled}
}

func worseFirst(a, b Vulnerability) int {
	rank := func(v Vulnerability) int {
		if i := slices.Index(scan.Severities, v.Severity); i >= 0 {
			return i
		}
		return len(scan.Severities)
	}
	return cmp.Or(rank(a)-rank(b), strings.Compare(a.ID, b.ID), strings.Compare(a.Type, b.Type), strings.Compare(a.Package, b.Package))
}

package scan

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// SARIFLog is a report in SARIF 2.1.0, the format that forges read for code scanning.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type SARIFLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	Properties  any               `json:"properties,omitempty"`
}

// sarifInvocation says whether all images were scanned, and which were not.
type sarifInvocation struct {
	ExecutionSuccessful        bool                `json:"executionSuccessful"`
	ToolExecutionNotifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level   string    `json:"level"`
	Message sarifText `json:"message"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string         `json:"id"`
	ShortDescription sarifText      `json:"shortDescription"`
	FullDescription  sarifText      `json:"fullDescription"`
	HelpURI          string         `json:"helpUri,omitempty"`
	Properties       map[string]any `json:"properties"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID              string             `json:"ruleId"`
	Level               string             `json:"level"`
	Message             sarifText          `json:"message"`
	Locations           []sarifLocation    `json:"locations"`
	PartialFingerprints map[string]string  `json:"partialFingerprints"`
	Suppressions        []sarifSuppression `json:"suppressions"` // empty: not suppressed; absent: unknown
}

type sarifLocation struct {
	PhysicalLocation struct {
		ArtifactLocation struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine int `json:"startLine"`
		} `json:"region"`
	} `json:"physicalLocation"`
	LogicalLocations []sarifLogical `json:"logicalLocations"`
}

type sarifLogical struct {
	FullyQualifiedName string `json:"fullyQualifiedName"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification,omitempty"`
}

// SARIF returns a report as a SARIF log. A result is located at the definition of its image,
// because forges show results in files. A result of a published image is located at the image's
// name. Findings that statements settle are suppressed.
func SARIF(report *Report, version string) *SARIFLog {
	invocation := sarifInvocation{ExecutionSuccessful: len(report.Failed) == 0}
	for _, failure := range report.Failed {
		invocation.ToolExecutionNotifications = append(invocation.ToolExecutionNotifications, sarifNotification{"error", sarifText{failure}})
	}
	run := sarifRun{Invocations: []sarifInvocation{invocation}, Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "libre", Version: version, InformationURI: "https://libre.sh", Rules: []sarifRule{}}
	rules := map[string]bool{}
	seen := map[string]bool{}
	for _, image := range report.Images {
		for _, finding := range image.Findings {
			result := sarifOf(&image, &finding)
			if fingerprint := result.PartialFingerprints["libre/v1"]; seen[fingerprint] {
				continue // on another platform
			} else {
				seen[fingerprint] = true
			}
			if !rules[finding.ID] {
				rules[finding.ID] = true
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, ruleOf(&finding))
			}
			run.Results = append(run.Results, result)
		}
	}
	slices.SortFunc(run.Tool.Driver.Rules, func(a, b sarifRule) int { return cmp.Compare(a.ID, b.ID) })
	run.Properties = map[string]any{"database": report.Database}
	return &SARIFLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

func ruleOf(f *Finding) sarifRule {
	rule := sarifRule{ID: f.ID, Properties: map[string]any{
		"tags": []string{"security", "vulnerability"}, "security-severity": securitySeverity(f), "aliases": append([]string{}, f.Aliases...),
	}}
	rule.ShortDescription.Text = f.ID + " (" + string(f.Severity) + ")"
	rule.FullDescription.Text = cmp.Or(f.Description, rule.ShortDescription.Text)
	if strings.HasPrefix(f.URL, "https://") {
		rule.HelpURI = f.URL
	}
	return rule
}

// securitySeverity returns the score by which GitHub sorts results: critical from 9.0, high
// from 7.0, medium from 4.0, and low below.
func securitySeverity(f *Finding) string {
	if f.CVSS > 0 {
		return fmt.Sprintf("%.1f", f.CVSS)
	}
	return map[Severity]string{"critical": "9.5", "high": "8.0", "medium": "5.0", "low": "2.0"}[f.Severity]
}

func sarifOf(image *Image, f *Finding) sarifResult {
	result := sarifResult{RuleID: f.ID, Level: level(f.Severity), Suppressions: []sarifSuppression{}}
	result.Message.Text = fmt.Sprintf("%s %s in %s", f.Component.Name, f.Component.Version, f.WayText())
	if f.Fixable() {
		result.Message.Text += ", fixed in " + strings.Join(f.FixedIn, ", ")
	}
	var location sarifLocation
	location.PhysicalLocation.ArtifactLocation.URI = cmp.Or(image.File, uriOf(image.Name))
	location.PhysicalLocation.Region.StartLine = 1
	location.LogicalLocations = []sarifLogical{{f.WayText()}}
	result.Locations = []sarifLocation{location}
	key := strings.Join([]string{image.Name, f.ID, f.Component.Version, f.WayText()}, "\x00")
	result.PartialFingerprints = map[string]string{"libre/v1": fmt.Sprintf("%x", sha256.Sum256([]byte(key)))}
	if f.Settled() {
		result.Suppressions = append(result.Suppressions, sarifSuppression{"external", "accepted", f.Answer.Says})
	}
	return result
}

func level(s Severity) string {
	switch s {
	case "critical", "high":
		return "error"
	case "medium":
		return "warning"
	}
	return "note"
}

// uriOf returns a reference as a relative URI, because registry.example/docs:1 could be read as
// a URI with a scheme.
func uriOf(reference string) string {
	return strings.NewReplacer("%", "%25", ":", "%3A", "@", "%40", " ", "%20").Replace(reference)
}

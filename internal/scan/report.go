package scan

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/vex"
)

// Report is the result of a scan, in the form of `libre scan --json`.
type Report struct {
	Database Database `json:"database"`         // the database that was used
	Images   []Image  `json:"images"`           // one for each platform
	Failed   []string `json:"failed,omitempty"` // images that could not be scanned, and why: their vulnerabilities are not known
}

// Image is one image for one platform.
type Image struct {
	Name       string    `json:"image"` // APP/COMPONENT/VARIANT, or a reference
	Platform   string    `json:"platform"`
	Digest     string    `json:"digest"`              // of the platform's manifest
	Components int       `json:"components"`          // number of components in the SBOM
	Unmatched  []string  `json:"unmatched,omitempty"` // names of components that no database can have: without a version or a known ecosystem
	Findings   []Finding `json:"findings"`            // the worst first

	Root     string         `json:"-"` // first name of all ways
	File     string         `json:"-"` // path of the definition in the catalogue; empty if it is not known
	Document *sbom.Document `json:"-"`
}

// Finding is a vulnerability of one component.
type Finding struct {
	Vulnerability
	Component Found    `json:"component"`        // that has the vulnerability
	Way       []string `json:"way"`              // names, from the image to the component
	Answer    *Answer  `json:"answer,omitempty"` // the statement about it
}

// Found is the component of a finding.
type Found struct {
	ID      string `json:"ref"`  // ID in the SBOM
	Name    string `json:"name"` // of the component
	Version string `json:"version,omitempty"`
	Type    string `json:"type,omitempty"` // its ecosystem
	PURL    string `json:"purl,omitempty"`
	By      By     `json:"matchedBy"` // field by which the database has the component
}

// Answer is the statement about a finding.
type Answer struct {
	Status        vex.Status `json:"status"`
	Justification string     `json:"justification,omitempty"`
	Action        string     `json:"action,omitempty"`
	Notes         string     `json:"notes,omitempty"`
	Patch         string     `json:"patch,omitempty"` // that fixes it
	Place         string     `json:"place,omitempty"` // FILE:LINE, or "patch NAME of COMPONENT"
	Says          string     `json:"-"`
}

// Settled reports whether a finding needs nothing more.
func (f *Finding) Settled() bool { return f.Answer != nil && f.Answer.Status.Settles() }

// Fixable reports whether there is a version without the vulnerability.
func (f *Finding) Fixable() bool { return len(f.FixedIn) > 0 }

// WayText returns the way in one line: docs/backend → python3 → openssl.
func (f *Finding) WayText() string { return strings.Join(f.Way, " → ") }

// Scan looks up the components of a document, and adds the statement about each finding. image
// needs a name and a root.
func (m *Matcher) Scan(ctx context.Context, database *Opened, image Image, document *sbom.Document, answers *vex.Answers) (Image, error) {
	answer, err := m.match(ctx, database.dir, document)
	if err != nil {
		return image, err
	}
	image.Document = document
	image.Platform = document.Subject.Platform.String()
	image.Digest = document.Subject.Manifest.String()
	image.Components = len(document.Components)
	image.Findings = []Finding{}
	byID := make(map[string]*sbom.Component, len(document.Components))
	for i := range document.Components {
		byID[document.Components[i].ID] = &document.Components[i]
	}
	for _, number := range answer.Unmatched {
		image.Unmatched = append(image.Unmatched, numbered(document, number).Name)
	}
	paths := document.Paths()
	for _, match := range answer.Matches {
		c := numbered(document, match.Component)
		finding := Finding{
			Vulnerability: match.Vulnerability,
			Component:     Found{c.ID, c.Name, c.Version, c.Type, c.PURL, match.By},
			Way:           way(image.Root, paths.To(c.ID), byID),
		}
		if statement, ok := answers.Answer(finding.IDs(), c.PURL); ok {
			finding.Answer = &Answer{
				statement.Status, statement.Justification, statement.Action, statement.Notes,
				statement.Patch.Name, statement.Place, statement.String(),
			}
		}
		image.Findings = append(image.Findings, finding)
	}
	slices.SortStableFunc(image.Findings, worseFirst)
	return image, nil
}

// numbered returns the component that has a number in a reply.
func numbered(document *sbom.Document, number string) sbom.Component {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(document.Components) {
		return sbom.Component{ID: number}
	}
	return document.Components[n]
}

// way returns the names of the components on a way. The store path that becomes the root
// directory is the image itself.
func way(root string, ids []string, byID map[string]*sbom.Component) []string {
	names := []string{root}
	for _, id := range ids {
		if c := byID[id]; !slices.Contains(c.Where, "/") {
			names = append(names, c.Name)
		}
	}
	return names
}

func worseFirst(a, b Finding) int {
	exploited := func(f Finding) int {
		if f.KEV {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.Severity.rank(), b.Severity.rank()), cmp.Compare(exploited(a), exploited(b)), cmp.Compare(b.EPSS, a.EPSS),
		cmp.Compare(a.ID, b.ID), cmp.Compare(a.Component.Name, b.Component.Name), cmp.Compare(a.Component.ID, b.Component.ID),
	)
}

// Keep drops the findings for which a condition is false.
func (r *Report) Keep(holds func(*Finding) bool) {
	for i := range r.Images {
		r.Images[i].Findings = slices.DeleteFunc(r.Images[i].Findings, func(f Finding) bool { return !holds(&f) })
	}
}

// Tally counts vulnerabilities, each once by its name, even if several components, platforms or
// images have it.
type Tally struct {
	Vulnerabilities int
	BySeverity      map[Severity]int // a vulnerability has the worst severity of its findings
	Images          int              // number of images with vulnerabilities, by name
}

// Tally counts the vulnerabilities of the findings for which a condition is true.
func (r *Report) Tally(holds func(*Finding) bool) Tally {
	worst, images := map[string]Severity{}, map[string]bool{}
	for _, image := range r.Images {
		for _, f := range image.Findings {
			if !holds(&f) {
				continue
			}
			images[image.Name] = true
			if known, seen := worst[f.Name()]; !seen || f.Severity.rank() < known.rank() {
				worst[f.Name()] = f.Severity
			}
		}
	}
	tally := Tally{Vulnerabilities: len(worst), BySeverity: map[Severity]int{}, Images: len(images)}
	for _, severity := range worst {
		tally.BySeverity[severity]++
	}
	return tally
}

// Time returns the time of the newest image. So a report of the same images and database always
// has the same time.
func (r *Report) Time() time.Time {
	newest := r.Database.Built
	for _, image := range r.Images {
		if created := image.Document.Subject.Created; created.After(newest) {
			newest = created
		}
	}
	return newest.UTC()
}

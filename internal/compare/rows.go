package compare

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/text"
)

// Section is what a row is about.
type Section string

// The sections, in the order in which they are shown.
const (
	ReleaseSection       Section = "release"
	DescriptionSection   Section = "description"
	ImageSection         Section = "image"
	SizeSection          Section = "size"
	PackageSection       Section = "package"
	LicenseSection       Section = "license"
	VulnerabilitySection Section = "vulnerability"
)

// Title returns the section's heading.
func (s Section) Title() string {
	return map[Section]string{
		ReleaseSection: "Release", DescriptionSection: "What the app is and needs", ImageSection: "Images and their configuration",
		SizeSection: "Size", PackageSection: "Packages", LicenseSection: "Licences", VulnerabilitySection: "Vulnerabilities",
	}[s]
}

// Sections lists all sections, in order.
var Sections = []Section{ReleaseSection, DescriptionSection, ImageSection, SizeSection, PackageSection, LicenseSection, VulnerabilitySection}

// Row is one difference, for people. Its texts may come from outside.
type Row struct {
	Section   Section
	Component string // "" if it is about the whole release
	Change    string
	Name      string
	From, To  string
}

// Size formats a number of bytes.
type Size func(bytes int64) string

// Rows lists the differences, section by section. It does not list the packages of an image
// that only one release has.
func (c *Comparison) Rows(size Size) []Row {
	var rows []Row
	for _, section := range Sections {
		switch section {
		case ReleaseSection:
			rows = append(rows, c.releaseRows()...)
		case DescriptionSection:
			rows = append(rows, changeRows(section, "", c.Description)...)
		default:
			for i := range c.Components {
				rows = append(rows, c.Components[i].rows(section, size)...)
			}
		}
	}
	return rows
}

func (c *Comparison) releaseRows() []Row {
	var rows []Row
	add := func(name, from, to string) {
		if from != to {
			rows = append(rows, Row{ReleaseSection, "", string(Changed), name, from, to})
		}
	}
	add("app", c.From.App, c.To.App)
	add("variant", c.From.Variant, c.To.Variant)
	add("version", c.From.Version, c.To.Version)
	add("package version", fmt.Sprint(c.From.PackageVersion), fmt.Sprint(c.To.PackageVersion))
	return rows
}

func (d *ComponentDelta) rows(section Section, size Size) []Row {
	switch section {
	case ImageSection:
		return d.imageRows()
	case SizeSection:
		return d.sizeRows(size)
	case PackageSection:
		return d.packageRows()
	case LicenseSection:
		return d.licenseRows()
	case VulnerabilitySection:
		return d.vulnerabilityRows()
	}
	return nil
}

func (d *ComponentDelta) imageRows() []Row {
	var rows []Row
	if d.Change == Added || d.Change == Removed {
		return []Row{{ImageSection, d.Component, string(d.Change), "image", d.Digests.From, d.Digests.To}}
	}
	rows = append(changeRows(ImageSection, d.Component, d.Platforms), changeRows(ImageSection, d.Component, d.Config)...)
	if d.Change == Changed && d.Digests.From != d.Digests.To {
		rows = append(rows, Row{ImageSection, d.Component, string(Changed), "digest", d.Digests.From, d.Digests.To})
	}
	return rows
}

// mostOfLayer is the number of characters that are shown of what made a layer: a step may be a
// script.
const mostOfLayer = 80

func (d *ComponentDelta) sizeRows(size Size) []Row {
	if d.Size == nil || d.Change == Kept {
		return nil
	}
	rows := []Row{{SizeSection, d.Component, signed(d.Size.To-d.Size.From, size), "sum", size(d.Size.From), size(d.Size.To)}}
	if d.Change != Changed {
		return rows
	}
	for _, layer := range d.Size.Layers {
		row := Row{SizeSection, d.Component, string(layer.Change), "layer " + text.Short(cmp.Or(storeHash().ReplaceAllString(layer.By, ""), layer.Digest), mostOfLayer), "", ""}
		switch layer.Change {
		case Kept:
			continue
		case Added:
			row.To = size(layer.Size)
		case Removed:
			row.From = size(layer.Size)
		}
		rows = append(rows, row)
	}
	return rows
}

// signed returns a difference of sizes with its sign.
func signed(bytes int64, size Size) string {
	switch {
	case bytes < 0:
		return "-" + size(-bytes)
	case bytes > 0:
		return "+" + size(bytes)
	}
	return string(Kept)
}

func (d *ComponentDelta) packageRows() []Row {
	if d.Packages == nil || d.Change == Added || d.Change == Removed {
		return nil
	}
	var rows []Row
	for _, p := range d.Packages.Changes {
		rows = append(rows, Row{PackageSection, d.Component, string(p.Change), packageText(p.Name, p.Type), versions(p.Change, Added, p.From), versions(p.Change, Removed, p.To)})
	}
	return rows
}

// versions joins versions. It returns "" for the side that lacks the package, and "-" for a
// package without a version.
func versions(edit, lacking Edit, all []string) string {
	if edit == lacking {
		return ""
	}
	return cmp.Or(strings.Join(all, ", "), "-")
}

func (d *ComponentDelta) licenseRows() []Row {
	var rows []Row
	for _, l := range d.Licenses {
		rows = append(rows, Row{LicenseSection, d.Component, string(Changed), packageText(l.Name, l.Type), unknownOr(l.From), unknownOr(l.To)})
	}
	return rows
}

func unknownOr(licenses []string) string { return cmp.Or(strings.Join(licenses, ", "), "unknown") }

func (d *ComponentDelta) vulnerabilityRows() []Row {
	if d.Vulnerabilities == nil {
		return nil
	}
	var rows []Row
	for _, v := range d.Vulnerabilities.New {
		rows = append(rows, Row{VulnerabilitySection, d.Component, "new", v.ID + " (" + string(v.Severity) + ")", "", v.where()})
	}
	for _, v := range d.Vulnerabilities.Fixed {
		rows = append(rows, Row{VulnerabilitySection, d.Component, "fixed", v.ID + " (" + string(v.Severity) + ")", v.where(), v.Settled})
	}
	return rows
}

func (v Vulnerability) where() string { return strings.TrimSpace(v.Package + " " + v.Version) }

func packageText(name, kind string) string {
	if kind == "" {
		return name
	}
	return name + " (" + kind + ")"
}

func changeRows(section Section, component string, changes []Change) []Row {
	var rows []Row
	for _, change := range changes {
		rows = append(rows, Row{section, component, string(change.Change), change.Path, valueText(change.From), valueText(change.To)})
	}
	return rows
}

// Summary returns the comparison in a few lines. What matters for an upgrade comes first.
func (c *Comparison) Summary(size Size) []string {
	lines := []string{c.title()}
	if c.Different {
		lines = append(lines, c.Upgrade.Text())
	}
	for i := range c.Components {
		if line := c.Components[i].summary(size); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func (c *Comparison) title() string {
	name := c.From.App + "/" + c.From.Variant
	from, to := c.From.Tag(), c.To.Tag()
	if name != c.To.App+"/"+c.To.Variant {
		from, to = name+" "+from, c.To.App+"/"+c.To.Variant+" "+to
		name = ""
	}
	what := map[Kind]string{AppVersion: "another app version", PackageVersion: "another package version", SameVersion: "the same version"}[c.Kind]
	switch {
	case !c.Different:
		what = "no difference"
	case c.Kind == SameVersion:
		what += ", other content"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s → %s: %s", name, from, to, what))
}

func (d *ComponentDelta) summary(size Size) string {
	if d.Change != Changed {
		return d.Component + ": " + string(d.Change)
	}
	var parts []string
	if d.Size != nil {
		parts = append(parts, fmt.Sprintf("%s → %s, an upgrade fetches %s", size(d.Size.From), size(d.Size.To), size(d.Size.Fetch)))
	}
	if d.Packages != nil {
		parts = append(parts, "packages: "+d.Packages.summary())
	}
	if n := len(d.Licenses); n > 0 {
		parts = append(parts, fmt.Sprintf("licences changed: %d", n))
	}
	if v := d.Vulnerabilities; v != nil {
		parts = append(parts, fmt.Sprintf("vulnerabilities: %d fixed, %d new, %d remain", len(v.Fixed), len(v.New), v.Remaining))
	}
	name := d.Component
	if d.Platform != "" {
		name += " (" + d.Platform + ")"
	}
	return strings.TrimSuffix(name+": "+strings.Join(parts, "; "), ": ")
}

func (p *PackagesDelta) summary() string {
	counts := map[Edit]int{}
	for _, change := range p.Changes {
		counts[change.Change]++
	}
	counted := fmt.Sprintf("%d changed, %d added, %d removed", counts[Changed], counts[Added], counts[Removed])
	if p.Rebuilt > 0 {
		counted += fmt.Sprintf(", %d rebuilt", p.Rebuilt)
	}
	return counted
}

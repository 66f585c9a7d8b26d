package site

import (
	"cmp"
	"html/template"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/text"
)

// The rows of components and vulnerabilities are most of a site, so no template makes them:
// markup escapes their texts.

// markup is HTML of ours, with texts from outside.
type markup struct{ strings.Builder }

// text adds a text from outside, of at most so many characters. It may be within an element,
// or a value in double quotes.
func (m *markup) text(outside string, most int) {
	m.WriteString(template.HTMLEscapeString(text.Short(outside, most)))
}

// How many characters of a text from outside are shown.
const (
	mostOfCell = 200
	mostOfText = 200 // a description in a list
	mostOfLine = 2000
)

// componentRows are rows of a table, by name. They are the same in all languages.
func componentRows(p *Platform) []template.HTML {
	cells := make([][]string, 0, len(p.SBOM.Components))
	for _, c := range p.SBOM.Components {
		cells = append(cells, []string{c.Name, c.Version, c.Type, c.License.Expression})
	}
	slices.SortStableFunc(cells, slices.Compare)
	rows := make([]template.HTML, len(cells))
	for i := range cells {
		var row markup
		row.WriteString("\n<tr>")
		for _, cell := range cells[i] {
			row.WriteString("<td>")
			row.text(cell, mostOfCell)
		}
		rows[i] = template.HTML(row.String())
	}
	return rows
}

// findingRows are rows of a table: what needs something comes first; both parts keep the order
// of the scan.
func (l *language) findingRows(p *Platform) []template.HTML {
	var open, settled []template.HTML
	for i := range p.Findings {
		if f := &p.Findings[i]; f.Settled() {
			settled = append(settled, l.findingRow(f))
		} else {
			open = append(open, l.findingRow(f))
		}
	}
	return append(open, settled...)
}

func (l *language) findingRow(f *scan.Finding) template.HTML {
	var row markup
	row.WriteString("\n<tr")
	if f.Settled() {
		row.WriteString(` class="settled"`)
	}
	row.WriteString(`><th scope="row">`)
	if address := webAddress(f.URL); address != "" && len(address) < 1000 {
		row.WriteString(`<a href="`)
		row.text(address, 1000)
		row.WriteString(`" rel="external noreferrer nofollow">`)
		row.text(f.Name(), mostOfCell)
		row.WriteString("</a>")
	} else {
		row.text(f.Name(), mostOfCell)
	}
	if f.KEV {
		row.WriteString(` <span class="tag">` + template.HTMLEscapeString(l.label("exploited")) + "</span>")
	}
	rank := severityRank(f.Severity)
	level := string(scan.Severities[rank])
	row.WriteString(`<td data-value="` + string(rune('0'+rank)) + `"><span class="severity ` + level + `">`)
	row.text(l.label(level), mostOfCell)
	row.WriteString("</span><td>")
	row.text(f.Component.Name, mostOfCell)
	row.WriteString(" ")
	row.text(f.Component.Version, 80)
	row.WriteString(`<br><span class="quiet">`)
	row.text(f.WayText(), mostOfCell)
	row.WriteString("</span><td>")
	row.text(cmp.Or(strings.Join(f.FixedIn, ", "), "–"), mostOfCell)
	row.WriteString("<td>")
	l.answer(&row, f.Answer)
	return template.HTML(row.String())
}

// answer adds what a statement says, if there is one.
func (l *language) answer(cell *markup, a *scan.Answer) {
	if a == nil {
		cell.WriteString("–")
		return
	}
	cell.WriteString("<strong>")
	cell.text(l.label(string(a.Status)), mostOfCell)
	cell.WriteString("</strong>")
	if a.Justification != "" {
		cell.WriteString(": ")
		cell.text(l.label(a.Justification), mostOfCell)
	}
	if a.Patch != "" {
		cell.WriteString(` <span class="quiet">`)
		cell.text(a.Patch, 80)
		cell.WriteString("</span>")
	}
	for _, more := range []string{a.Notes, a.Action} {
		if more != "" {
			cell.WriteString("<br>")
			cell.text(more, 500)
		}
	}
}

// severityRank is 0 for the worst severity. One that the pages have no colour and name for has
// the last rank.
func severityRank(severity scan.Severity) int {
	if i := slices.Index(scan.Severities, severity); i >= 0 {
		return i
	}
	return len(scan.Severities) - 1
}

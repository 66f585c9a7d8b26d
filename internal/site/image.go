package site

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/text"
)

// imageView is what a release's page says of one of its images.
type imageView struct {
	*Image
	Description string
	License     string
	Platforms   []platformView
	Tally       *tally
}

// platformView is an image for one platform.
type platformView struct {
	*Platform
	Contents        string // path of the page
	Vulnerabilities string // path of the page; "" if the image was not scanned
	CycloneDX, SPDX string // paths of the documents
	Components      int
	Tally           *tally
}

func imageViews(app string, r *Release) []imageView {
	var all []imageView
	for i := range r.Images {
		image := &r.Images[i]
		view := imageView{Image: image}
		if image.Verified {
			view.Tally = newTally([]Image{*image})
			for j := range image.Platforms {
				view.Platforms = append(view.Platforms, newPlatformView(app, r, image, &image.Platforms[j]))
			}
		}
		if r.Document != nil && image.Verified {
			c := r.Document.Spec.Components[image.Component]
			view.Description, view.License = c.Description, cmp.Or(c.License, r.Document.Spec.License)
		}
		all = append(all, view)
	}
	return all
}

func newPlatformView(app string, r *Release, image *Image, p *Platform) platformView {
	view := platformView{
		Platform: p, Contents: imagePath(app, r, image, p, "contents", 1),
		CycloneDX: sbomPath(app, r, image, p, "cdx"), SPDX: sbomPath(app, r, image, p, "spdx"), Components: len(p.SBOM.Components),
	}
	if p.Findings != nil {
		view.Vulnerabilities = imagePath(app, r, image, p, "vulnerabilities", 1)
		view.Tally = newTally([]Image{{Component: image.Component, Platforms: []Platform{*p}}})
	}
	return view
}

// contentsView is a page of an image's contents or vulnerabilities.
type contentsView struct {
	Release  *Release
	App      string
	Path     string // of the release
	Image    *Image
	Platform platformView
	Licenses []licenseCount
	Sum      int // of all pages

	Components template.HTML // rows of the table
	Findings   []findingRow
	Pages      []pageLink // if there are several
}

type pageLink struct {
	Number  int
	Path    string
	Current bool
}

type licenseCount struct {
	License string
	Count   int
}

type findingRow struct {
	scan.Finding
	Ways string
}

// mostRowBytes is how many bytes of HTML the rows of a page may have: so no page is larger
// than 200 kB.
const mostRowBytes = 150_000

// platform writes the pages about an image for a platform, and its SBOMs.
func (w *Writer) platform(app *App, r *Release, image *Image, p *Platform) error {
	base := contentsView{Release: r, App: app.Name, Path: releasePath(app.Name, r), Image: image, Platform: newPlatformView(app.Name, r, image, p)}
	id := fmt.Sprintf("%s %s %s, %s", app.Name, image.Component, r.Tag, p.Name)
	rows := componentRows(p)
	base.Licenses, base.Sum = licenseCounts(p), len(rows)
	err := paginate(w, base, about{id, image.Reference}, rows, "contents",
		func(row template.HTML) int { return len(row) },
		func(v *contentsView, rows []template.HTML) {
			for _, row := range rows {
				v.Components += row
			}
		})
	if err != nil {
		return err
	}
	if p.Findings != nil {
		base.Sum = len(p.Findings)
		err := paginate(w, base, about{id, image.Reference}, findingRows(p), "vulnerabilities", findingRow.size,
			func(v *contentsView, rows []findingRow) { v.Findings = rows })
		if err != nil {
			return err
		}
	}
	return w.sboms(base.Platform)
}

func (w *Writer) sboms(p platformView) error {
	cyclonedx, spdx, err := p.SBOM.Encode()
	if err != nil {
		return err
	}
	if err := w.file(p.CycloneDX, cyclonedx); err != nil {
		return err
	}
	return w.file(p.SPDX, spdx)
}

// paginate writes as many pages as rows need, at least one.
func paginate[T any](w *Writer, base contentsView, about about, rows []T, kind string, size func(T) int, set func(*contentsView, []T)) error {
	chunks := [][]T{nil}
	sum := 0
	for _, row := range rows {
		n := size(row)
		if last := len(chunks) - 1; sum+n > mostRowBytes && len(chunks[last]) > 0 {
			chunks, sum = append(chunks, nil), 0
		}
		last := len(chunks) - 1
		chunks[last], sum = append(chunks[last], row), sum+n
	}
	app, r, image, p := base.App, base.Release, base.Image, base.Platform.Platform
	for i := range chunks {
		view := base
		set(&view, chunks[i])
		for j := range chunks {
			if len(chunks) > 1 {
				view.Pages = append(view.Pages, pageLink{j + 1, imagePath(app, r, image, p, kind, j+1), j == i})
			}
		}
		if err := w.page(imagePath(app, r, image, p, kind, i+1), kind, about, func(*language) any { return &view }); err != nil {
			return err
		}
	}
	return nil
}

// mostOfCell is how many characters of a text from outside a cell shows.
const mostOfCell = 200

// componentRows are rows of a table, by name. They are the same in all languages, and most of
// a site, so no template makes them: their texts are escaped here, for the content of an
// element.
func componentRows(p *Platform) []template.HTML {
	cells := make([][]string, 0, len(p.SBOM.Components))
	for _, c := range p.SBOM.Components {
		cells = append(cells, []string{c.Name, c.Version, c.Type, c.License.Expression})
	}
	slices.SortStableFunc(cells, slices.Compare)
	rows := make([]template.HTML, len(cells))
	for i := range cells {
		var row strings.Builder
		row.WriteString("\n<tr>")
		for _, cell := range cells[i] {
			row.WriteString("<td>" + template.HTMLEscapeString(text.Short(cell, mostOfCell)))
		}
		rows[i] = template.HTML(row.String())
	}
	return rows
}

// licenseCounts counts the components of each SPDX identifier, the most first. Components of
// which none is known count as "".
func licenseCounts(p *Platform) []licenseCount {
	expressions, counts := map[string]int{}, map[string]int{}
	for _, c := range p.SBOM.Components {
		expressions[c.License.Expression]++
	}
	for expression, n := range expressions {
		ids, err := license.IDs(expression)
		if err != nil {
			ids = []string{expression}
		}
		for _, id := range ids {
			counts[text.Short(id, 80)] += n
		}
	}
	var all []licenseCount
	for id, n := range counts {
		all = append(all, licenseCount{id, n})
	}
	slices.SortFunc(all, func(a, b licenseCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.License, b.License))
	})
	return all[:min(len(all), 100)]
}

func findingRows(p *Platform) []findingRow {
	var rows []findingRow
	for _, f := range p.Findings {
		rows = append(rows, shortFinding(f))
	}
	// What needs something comes first; both parts keep the order of the scan.
	slices.SortStableFunc(rows, func(a, b findingRow) int {
		return cmp.Compare(settledRank(&a.Finding), settledRank(&b.Finding))
	})
	return rows
}

// shortFinding cuts what a database or a statement says at length.
func shortFinding(f scan.Finding) findingRow {
	f.Component.Name, f.Component.Version = text.Short(f.Component.Name, mostOfCell), text.Short(f.Component.Version, 80)
	f.FixedIn = []string{text.Short(strings.Join(f.FixedIn, ", "), mostOfCell)}
	if f.Answer != nil {
		answer := *f.Answer
		answer.Patch, answer.Notes, answer.Action = text.Short(answer.Patch, 80), text.Short(answer.Notes, 500), text.Short(answer.Action, 500)
		f.Answer = &answer
	}
	return findingRow{f, text.Short(f.WayText(), mostOfCell)}
}

// size is at least the number of bytes of the row's HTML.
func (f findingRow) size() int {
	texts := []string{f.Ways, f.Name(), f.URL, f.Component.Name, f.Component.Version, f.FixedIn[0]}
	if f.Answer != nil {
		texts = append(texts, f.Answer.Patch, f.Answer.Notes, f.Answer.Action)
	}
	size := 600 // markup and labels
	for _, one := range texts {
		size += len(template.HTMLEscapeString(one))
	}
	return size
}

func settledRank(f *scan.Finding) int {
	if f.Settled() {
		return 1
	}
	return 0
}

// Level is a severity that the pages have a colour and a name for.
func (f findingRow) Level() string { return string(scan.Severities[f.Rank()]) }

// Rank is 0 for the worst severity.
func (f findingRow) Rank() int {
	if i := slices.Index(scan.Severities, f.Severity); i >= 0 {
		return i
	}
	return len(scan.Severities) - 1
}

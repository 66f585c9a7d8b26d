package site

import "html/template"

// releaseRow is a release in a list.
type releaseRow struct {
	*Release
	Path  string
	Tally *tally
}

// An app's page lists so many of its releases: the newest of each variant.
const (
	mostReleases = 30
	mostVariants = 30 // one release of each
)

// newestReleases returns the releases that the app's page lists.
func newestReleases(app *App) []releaseRow {
	seen := map[string]int{}
	for _, r := range app.Releases {
		seen[r.Variant] = 0
	}
	each := max(1, mostReleases/max(1, len(seen)))
	var rows []releaseRow
	for i := range app.Releases {
		r := &app.Releases[i]
		if seen[r.Variant]++; seen[r.Variant] <= each && len(rows) < mostVariants {
			rows = append(rows, newReleaseRow(app, r))
		}
	}
	return rows
}

func newReleaseRow(app *App, r *Release) releaseRow {
	row := releaseRow{Release: r, Path: releasePath(app.Name, r)}
	if r.Verified {
		row.Tally = newTally(r.Images)
	}
	return row
}

// releasesView is a page of the list of all releases of an app.
type releasesView struct {
	App  string
	Path string // of the app
	part
}

// releases writes the list of all releases, if the app's page has not all of them.
func (w *Writer) releases(app *App) error {
	if len(newestReleases(app)) == len(app.Releases) {
		return nil
	}
	list := longList{kind: "releases", items: map[*language][]template.HTML{}}
	list.path = func(number int) string { return numbered(releasesPath(app.Name), number) }
	rows := make([]releaseRow, len(app.Releases))
	for i := range rows {
		rows[i] = newReleaseRow(app, &app.Releases[i])
	}
	for _, l := range w.languages {
		for _, row := range rows {
			html, err := l.render("release-row", pairs("Page", &page{Language: l, Path: releasesPath(app.Name)}, "View", row))
			if err != nil {
				return err
			}
			list.items[l] = append(list.items[l], template.HTML(html))
		}
	}
	return w.longList(list, about{Title: app.Name, Description: app.Name}, func(_ *language, part part) any {
		return &releasesView{app.Name, appPath(app.Name), part}
	})
}

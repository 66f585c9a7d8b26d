package site

import (
	"cmp"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/text"
)

// summary is what the index says of an app, and what is kept of it.
type summary struct {
	Name        string
	Path        string
	Description string
	License     string
	Tag         string // of the newest release that verifies; "" if there is none
	Date        time.Time
	Images      int
	Releases    int
	Broken      int // releases that do not verify
	Tally       *tally

	list listedApp
}

// mostOfDescription is how many bytes of HTML the index has of a description.
const mostOfDescription = 240

// short is the beginning of a text that is at most so many bytes of HTML.
func short(outside string, most int) string {
	characters := 140
	cut := text.Short(outside, characters)
	for len(template.HTMLEscapeString(cut)) > most {
		characters /= 2
		cut = text.Short(outside, characters)
	}
	return cut
}

func summarise(app *App) *summary {
	s := &summary{Name: app.Name, Path: appPath(app.Name), Releases: len(app.Releases), list: listed(app)}
	for _, r := range app.Releases {
		if !r.Verified {
			s.Broken++
		}
	}
	if app.Document != nil {
		s.Description = short(app.Document.Spec.Description, mostOfDescription)
		s.License = short(app.Document.Spec.License, 60)
	}
	if newest := app.newest(); newest != nil {
		s.Tag, s.Date, s.Images, s.Tally = newest.Tag, newest.Date, len(newest.Images), newTally(newest.Images)
	}
	return s
}

func (s *summary) about() about { return about{Title: s.Name, Description: s.Description} }

// Open is how many vulnerabilities need something, for sorting: those that are not known
// come last.
func (s *summary) Open() int {
	if s.Tally == nil {
		return 1 << 30
	}
	return s.Tally.Total
}

type indexView struct {
	Apps     []*summary
	Images   int
	Licenses []string
}

func newIndexView(apps []*summary) *indexView {
	view := &indexView{Apps: apps}
	for _, s := range apps {
		view.Images += s.Images
		if s.License != "" {
			view.Licenses = append(view.Licenses, s.License)
		}
	}
	slices.SortFunc(view.Licenses, func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
	view.Licenses = slices.Compact(view.Licenses)
	return view
}

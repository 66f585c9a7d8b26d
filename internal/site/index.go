package site

import (
	"cmp"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/text"
)

// summary describes an app in the index.
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

// indexView is a page of the index.
type indexView struct {
	Apps     int
	Images   int
	Licenses []string
	part
}

// mostLicenses is how many licences one can filter by.
const mostLicenses = 100

// index writes the pages of the index.
func (w *Writer) index() error {
	base := indexView{Apps: len(w.apps)}
	licenses := map[string]int{}
	list := longList{kind: "index", items: map[*language][]template.HTML{}}
	list.path = func(number int) string { return numbered("index.html", number) }
	for _, s := range w.apps {
		base.Images += s.Images
		licenses[s.License]++
		for _, l := range w.languages {
			card, err := l.render("card", &page{Language: l, Path: "index.html", View: s})
			if err != nil {
				return err
			}
			list.items[l] = append(list.items[l], template.HTML(card))
		}
	}
	base.Licenses = mostUsed(licenses, mostLicenses)
	return w.longList(list, about{}, func(_ *language, part part) any {
		view := base
		view.part = part
		return &view
	})
}

// mostUsed are at most so many names, in order: those with the highest counts.
func mostUsed(counts map[string]int, most int) []string {
	delete(counts, "")
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	names = names[:min(len(names), most)]
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(a, b))
	})
	return names
}

package site

import (
	"cmp"
	"encoding/xml"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/libresh/libre/internal/text"
)

// The parts of Atom that the feed has: https://www.rfc-editor.org/rfc/rfc4287
type (
	atomFeed struct {
		XMLName   xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		ID        string      `xml:"id"`
		Title     string      `xml:"title"`
		Updated   string      `xml:"updated"`
		Author    atomPerson  `xml:"author"`
		Generator string      `xml:"generator"`
		Links     []atomLink  `xml:"link"`
		Entries   []atomEntry `xml:"entry"`
	}
	atomEntry struct {
		ID      string     `xml:"id"`
		Title   string     `xml:"title"`
		Updated string     `xml:"updated"`
		Links   []atomLink `xml:"link"`
		Summary string     `xml:"summary"`
	}
	atomPerson struct {
		Name string `xml:"name"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr"`
		Type string `xml:"type,attr"`
		Href string `xml:"href,attr"`
	}
)

// mostEntries is how many releases the feed has, the newest by date.
const mostEntries = 100

// feed lists the releases that verify. An entry's ID follows from its reference, which is never
// used for other content. One without a date is of 1970, as Atom requires one.
func (w *Writer) feed() ([]byte, error) {
	type dated struct {
		app *summary
		listedRelease
	}
	var releases []dated
	undated := time.Unix(0, 0).UTC()
	for _, s := range w.apps {
		for _, r := range s.list.Releases {
			if r.Signature != signature(true) {
				continue
			}
			if r.Date == nil {
				r.Date = &undated
			}
			releases = append(releases, dated{s, r})
		}
	}
	slices.SortFunc(releases, func(a, b dated) int {
		return cmp.Or(b.Date.Compare(*a.Date), strings.Compare(a.Reference, b.Reference))
	})
	feed := atomFeed{
		ID: entryID(w.catalogue.Registry), Title: w.catalogue.Registry, Updated: undated.Format(time.RFC3339),
		Author: atomPerson{w.catalogue.Registry}, Generator: "libre",
		Links: []atomLink{{"self", "application/atom+xml", "feed.atom"}, {"alternate", "text/html", "index.html"}},
	}
	for i, r := range releases[:min(len(releases), mostEntries)] {
		entry := atomEntry{
			ID: entryID(r.Reference), Title: r.app.Name + " " + r.Tag, Updated: r.Date.Format(time.RFC3339),
			Links: []atomLink{{"alternate", "text/html", r.Page}}, Summary: r.Reference,
		}
		if r.Variant != "default" {
			entry.Title = r.app.Name + "/" + r.Variant + " " + r.Tag
		}
		if r.Withdrawn != nil {
			entry.Title, entry.Summary = entry.Title+" (withdrawn)", entry.Summary+"\nwithdrawn on "+r.Withdrawn.Date+": "+text.Line(r.Withdrawn.Reason)
		}
		if i == 0 {
			feed.Updated = entry.Updated
		}
		feed.Entries = append(feed.Entries, entry)
	}
	content, err := xml.MarshalIndent(feed, "", "  ")
	return append([]byte(xml.Header), append(content, '\n')...), err
}

// entryID names a reference. https://www.rfc-editor.org/rfc/rfc9562#section-5.5
func entryID(reference string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://libre.sh/site/"+reference)).URN()
}

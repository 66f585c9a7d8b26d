package bump

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Candidate is one of upstream's tags, and what became of it.
type Candidate struct {
	Tag     string `json:"tag"`               // outside text, cut where it is long
	Version string `json:"version,omitempty"` // "" where none was read
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"` // YYYY-MM-DD, where the release was looked at
	Verdict string `json:"verdict"`
}

// Table is the candidates as a table, newest first. Tags are outside text.
func (d *Decision) Table() (header []string, rows [][]string) {
	for _, c := range d.Candidates {
		rows = append(rows, []string{c.Tag, c.Version, c.Date, c.Verdict})
	}
	return []string{"TAG", "VERSION", "RELEASED", "VERDICT"}, rows
}

// maxShown is the length, in characters, up to which outside text is shown.
const maxShown = 80

// shorten cuts outside text for people. What it may contain is for the printer.
func shorten(text string) string {
	if len(text) > 4*maxShown {
		text = text[:4*maxShown]
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if utf8.RuneCountInString(text) <= maxShown {
		return text
	}
	return string([]rune(text)[:maxShown-1]) + "…"
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

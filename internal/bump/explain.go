package bump

import (
	"time"
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

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

package bump

import (
	"time"
)

// Candidate is one of upstream's tags, and its verdict.
type Candidate struct {
	Tag     string `json:"tag"`               // outside text, cut if it is long
	Version string `json:"version,omitempty"` // "" if the tag has none
	Commit  string `json:"commit,omitempty"`  // of the tag
	Date    string `json:"date,omitempty"`    // YYYY-MM-DD, if the release was read
	Verdict string `json:"verdict"`           // why it is taken or not
}

// Table returns the candidates as a table, newest first. Tags are outside text.
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

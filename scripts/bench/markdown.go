package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/bench"
)

// markdown returns the generated part of the page: for each table its chart, and for each row a
// line about its goal and the figures of all programs.
func (r results) markdown() ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "\nMeasured on %s: %s, %d cores, %s.\n", r.Machine.Date, r.Machine.CPU, r.Machine.Cores, r.Machine.Memory)
	fmt.Fprintf(&out, "Versions: %s.\n", strings.Join(slices.Sorted(maps.Values(r.Machine.Programs)), "; "))
	for _, table := range tables {
		rows := r.of(table)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n### %s\n\n![%s](%s)\n", strings.ToUpper(table[:1])+table[1:], table, chartFile(table))
		for _, row := range rows {
			if len(row.Sides) < 2 {
				return nil, fmt.Errorf("the row %q compares nothing", row.Work)
			}
			writeRow(&out, row)
		}
	}
	out.WriteString("\n")
	return out.Bytes(), nil
}

func writeRow(out *bytes.Buffer, row bench.Row) {
	fmt.Fprintf(out, "\n**%s.**%s\n\n", strings.ToUpper(row.Work[:1])+row.Work[1:], goal(row))
	columns := []struct {
		name  string
		value func(bench.Side) float64
	}{
		{"CPU s", func(s bench.Side) float64 { return s.CPU }},
		{"memory MB", func(s bench.Side) float64 { return s.Memory }},
		{"sent MB", func(s bench.Side) float64 { return s.Sent }},
		{"requests", func(s bench.Side) float64 { return s.Requests }},
	}
	head, rule := "| program | "+row.Unit+" |", "|---|---|"
	shown := columns[:0:0]
	for _, c := range columns {
		if slices.ContainsFunc(row.Sides, func(s bench.Side) bool { return c.value(s) > 0 }) {
			shown, head, rule = append(shown, c), head+" "+c.name+" |", rule+"---|"
		}
	}
	fmt.Fprintf(out, "%s libre by this |\n%s---|\n", head, rule)
	for i, side := range row.Sides {
		fmt.Fprintf(out, "| %s | %s |", side.Name, spread(bench.SpreadOf(side.Values)))
		for _, c := range shown {
			fmt.Fprintf(out, " %s |", number(c.value(side)))
		}
		if i == 0 {
			out.WriteString(" |\n")
			continue
		}
		fmt.Fprintf(out, " %s |\n", spread(side.Ratio))
	}
}

// goal says whether a row reaches its goal.
func goal(row bench.Row) string {
	if row.Goal == 0 {
		return ""
	}
	got := row.Sides[1].Ratio.Median
	reached := "reached"
	if got > row.Goal {
		reached = "not reached"
	}
	most := fmt.Sprintf("at most %.4g times", row.Goal)
	if row.Goal == 1 {
		most = "no more than"
	}
	return fmt.Sprintf(" Goal: %s “%s”; %s, with %s times.", most, row.Sides[1].Name, reached, number(got))
}

// spread writes a median, with the least and the greatest value if they differ.
func spread(r bench.Spread) string {
	if r.Least == r.Most {
		return number(r.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(r.Median), number(r.Least), number(r.Most))
}

// number writes three digits, and nothing for 0, which was not measured.
func number(n float64) string {
	switch {
	case n == 0:
		return ""
	case n >= 100:
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.3g", n)
}

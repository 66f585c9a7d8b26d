package main

import (
	"bytes"
	"html/template"
	"strings"

	"github.com/libresh/libre/internal/bench"
)

// chartFile returns the name of a table's chart, in docs.
func chartFile(table string) string {
	return "performance-" + strings.ReplaceAll(strings.ToLower(table), " ", "-") + ".svg"
}

// A bar is a program's value as a multiple of the yardstick's.
type bar struct {
	Name, Value string
	Y, Width    int
	Ours        bool
}

// A group is a row of the table.
type group struct {
	Title string
	Y     int
	Bars  []bar
}

const (
	textWidth = 330 // pixels for the names
	barsWidth = 420 // pixels for the longest bar
	most      = 5   // longer bars are cut, and their value says it
)

// chart draws the rows of a table as an SVG: a bar a program, and a line where the yardstick ends.
// https://www.w3.org/TR/SVG2/
func chart(rows []bench.Row) []byte {
	unit := float64(barsWidth) / most
	y := 10
	var groups []group
	for _, row := range rows {
		g := group{Title: row.Work, Y: y + 12}
		y += 20
		yardstick := bench.SpreadOf(row.Sides[1].Values).Median
		for i, side := range row.Sides {
			of := bench.SpreadOf(side.Values).Median / yardstick
			g.Bars = append(g.Bars, bar{Name: side.Name, Value: number(of) + " ×", Y: y, Width: max(1, int(min(of, most)*unit)), Ours: i == 0})
			y += 18
		}
		y += 12
		groups = append(groups, g)
	}
	var out bytes.Buffer
	err := chartTemplate.Execute(&out, map[string]any{
		"Groups": groups, "Height": y, "Width": textWidth + barsWidth + 80, "Text": textWidth, "One": textWidth + int(unit),
	})
	if err != nil {
		panic(err) // the template is constant
	}
	return out.Bytes()
}

var chartTemplate = template.Must(template.New("chart").Funcs(template.FuncMap{"add": func(a, b int) int { return a + b }}).Parse(
	`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
{{- $text := .Text}}
{{- range .Groups}}
<text x="8" y="{{.Y}}" font-weight="bold" fill="#1b1f24">{{.Title}}</text>
{{- range .Bars}}
<text x="{{add $text -8}}" y="{{add .Y 12}}" text-anchor="end" fill="#1b1f24">{{.Name}}</text>
<rect x="{{$text}}" y="{{.Y}}" width="{{.Width}}" height="14" fill="{{if .Ours}}#1a7f5a{{else}}#9aa4b2{{end}}"/>
<text x="{{add (add $text .Width) 6}}" y="{{add .Y 12}}" fill="#1b1f24">{{.Value}}</text>
{{- end}}
{{- end}}
<line x1="{{.One}}" y1="4" x2="{{.One}}" y2="{{.Height}}" stroke="#1b1f24" stroke-dasharray="2 3"/>
</svg>
`))

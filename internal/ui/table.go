package ui

import (
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// A Table has as many cells in each row as in its header. Cells may be outside
// text: they are cleaned, and put on one line.
type Table struct {
	Header []string
	Rows   [][]string
	Style  func(column int, cell string) Style // nil: plain

	// Sentences are the columns whose cells must be read whole: on a terminal that is
	// too narrow, they stand below their rows and are not cut.
	Sentences []int
}

const (
	columnGap = "  "
	minColumn = 8 // cells that a column keeps when the terminal is too narrow
)

// Table writes a result to stdout: on a terminal aligned, under a header and, but
// for sentences, not wider than the terminal; otherwise with one tab between cells, uncut and
// without the header, for cut and awk.
func (u *UI) Table(t Table) error {
	u.Summary(t)
	rows := cleanRows(t.Rows)
	if !u.opts.StdoutTerminal {
		var b strings.Builder
		for _, row := range rows {
			b.WriteString(strings.Join(row, "\t") + "\n")
		}
		return u.result([]byte(b.String()))
	}
	width, _ := u.opts.Size()
	return u.result([]byte(u.align(t, rows, width, u.paint)))
}

// NoteTable writes a table to stderr for people, aligned also when piped: a log
// is read, not parsed. It is not cut, since it says what cannot be asked for
// again; a terminal wraps it. In the JSON log it is left out; what it says must
// have been said of each image.
func (u *UI) NoteTable(t Table) {
	u.Summary(t)
	if u.opts.JSON {
		return
	}
	paint := func(_ Style, text string) string { return text }
	if u.opts.StderrTerminal {
		paint = u.paint
	}
	text := u.align(t, cleanRows(t.Rows), 0, paint)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.log(text)
}

func cleanRows(rows [][]string) [][]string {
	clean := make([][]string, len(rows))
	for i, row := range rows {
		clean[i] = make([]string, len(row))
		for j, cell := range row {
			clean[i][j] = cleanWord(cell)
		}
	}
	return clean
}

// align lays a table out in a width, 0 for as wide as it is.
func (u *UI) align(t Table, rows [][]string, width int, paint func(Style, string) string) string {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	columns, below := t.divide(widths, width)
	style := t.Style
	if style == nil {
		style = func(int, string) Style { return None }
	}
	var b strings.Builder
	write := func(row []string, style func(int, string) Style) {
		for n, i := range columns {
			text := row[i]
			if runewidth.StringWidth(text) > widths[i] {
				text = runewidth.Truncate(text, widths[i], "…")
			}
			b.WriteString(paint(style(i, row[i]), text))
			if n < len(columns)-1 { // no blanks at the end of a line
				b.WriteString(strings.Repeat(" ", widths[i]-runewidth.StringWidth(text)) + columnGap)
			}
		}
		b.WriteString("\n")
	}
	write(t.Header, func(int, string) Style { return Bold })
	for _, row := range rows {
		write(row, style)
		for _, i := range below {
			if row[i] != "" {
				b.WriteString(columnGap + paint(Dim, strings.ToLower(t.Header[i])+":") + " " + paint(style(i, row[i]), row[i]) + "\n")
			}
		}
	}
	return b.String()
}

// divide gives the columns of a table that stand beside each other, with widths that
// fit, and those that stand below: of the sentences the widest, as many as are needed.
func (t Table) divide(widths []int, width int) (columns, below []int) {
	for i := range t.Header {
		columns = append(columns, i)
	}
	if width == 0 {
		return columns, nil
	}
	for sentences := slices.Clone(t.Sentences); len(sentences) > 0 && rowWidth(widths, columns) > width; {
		widest := slices.MaxFunc(sentences, func(a, b int) int { return widths[a] - widths[b] })
		is := func(i int) bool { return i == widest }
		sentences, columns = slices.DeleteFunc(sentences, is), slices.DeleteFunc(columns, is)
		below = append(below, widest)
	}
	slices.Sort(below)
	shrink(widths, columns, width)
	return columns, below
}

func rowWidth(widths, columns []int) int {
	sum := (len(columns) - 1) * len(columnGap)
	for _, i := range columns {
		sum += widths[i]
	}
	return sum
}

// shrink takes width from the widest columns until a row fits.
func shrink(widths, columns []int, width int) {
	for sum := rowWidth(widths, columns); sum > width; sum-- {
		widest := slices.MaxFunc(columns, func(a, b int) int { return widths[a] - widths[b] })
		if widths[widest] <= minColumn {
			return
		}
		widths[widest]--
	}
}

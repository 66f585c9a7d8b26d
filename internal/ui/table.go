package ui

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// A Table has as many cells in each row as in its header. Cells may be outside
// text: they are cleaned, and put on one line.
type Table struct {
	Header []string
	Rows   [][]string
	Style  func(column int, cell string) Style // nil: plain
}

const (
	columnGap = "  "
	minColumn = 8 // cells that a column keeps when the terminal is too narrow
)

// Table writes a result to stdout: on a terminal aligned, under a header and
// not wider than the terminal; otherwise with one tab between cells, uncut and
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
	columns := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, rows...) {
		for i, cell := range row {
			columns[i] = max(columns[i], runewidth.StringWidth(cell))
		}
	}
	if width > 0 {
		shrink(columns, width)
	}
	var b strings.Builder
	write := func(row []string, style func(int, string) Style) {
		for i, cell := range row {
			text := cell
			if runewidth.StringWidth(text) > columns[i] {
				text = runewidth.Truncate(text, columns[i], "…")
			}
			b.WriteString(paint(style(i, cell), text))
			if i < len(row)-1 { // no blanks at the end of a line
				b.WriteString(strings.Repeat(" ", columns[i]-runewidth.StringWidth(text)) + columnGap)
			}
		}
		b.WriteString("\n")
	}
	write(t.Header, func(int, string) Style { return Bold })
	style := t.Style
	if style == nil {
		style = func(int, string) Style { return None }
	}
	for _, row := range rows {
		write(row, style)
	}
	return b.String()
}

// shrink takes width from the widest columns until a row fits.
func shrink(columns []int, width int) {
	sum := (len(columns) - 1) * len(columnGap)
	for _, n := range columns {
		sum += n
	}
	for ; sum > width; sum-- {
		widest := 0
		for i, n := range columns {
			if n > columns[widest] {
				widest = i
			}
		}
		if columns[widest] <= minColumn {
			return
		}
		columns[widest]--
	}
}

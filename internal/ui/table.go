package ui

import (
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/libresh/libre/internal/text"
)

// A Table has as many cells in each row as in its header. Cells are escaped, and written on one
// line.
type Table struct {
	Header []string
	Rows   [][]string
	Style  func(column int, cell string) Style // nil for no style

	// Sentences are the columns whose cells are written below their rows on a terminal if they do
	// not fit into the row.
	Sentences []int

	// Wrap are the columns whose cells may have several lines on a terminal, broken between words.
	// Use it for descriptions, and not for text that people copy.
	Wrap []int

	// Escape makes a cell safe in Markdown; nil is [text.Markdown].
	Escape func(cell string) string
}

const (
	columnGap = "  "
	minPhrase = 20 // least width of a column with wrapped cells
)

// Table writes a result to stdout. On a terminal it has a header and aligned columns. If they
// are wider than the terminal, each row has two lines: the first cell, and the others. No cell
// is shortened, so that people can copy it. Elsewhere cells are separated by tabs and there is
// no header, for cut and awk.
func (u *UI) Table(t Table) error {
	u.Summary(t)
	rows := cleanRows(t.Rows)
	if len(rows) == 0 {
		return nil
	}
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

// oneLine returns a text on one line that is safe for a terminal.
func oneLine(said string) string { return strings.TrimSpace(text.OutputLine(said)) }

func cleanRows(rows [][]string) [][]string {
	clean := make([][]string, len(rows))
	for i, row := range rows {
		clean[i] = make([]string, len(row))
		for j, cell := range row {
			clean[i][j] = oneLine(cell)
		}
	}
	return clean
}

// align lays out a table in a width; 0 means any width.
func (u *UI) align(t Table, rows [][]string, width int, paint func(Style, string) string) string {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	columns, stacked := t.fit(rows, widths, width)
	below := func(i int, cell string) bool {
		if stacked && i == 0 || slices.Contains(t.Wrap, i) && slices.Contains(columns, i) {
			return false
		}
		return !slices.Contains(columns, i) || runewidth.StringWidth(cell) > widths[i]
	}
	style := t.Style
	if style == nil {
		style = func(int, string) Style { return None }
	}
	var b strings.Builder
	line := func(row []string, full []string, style func(int, string) Style) {
		var cells []string
		for _, i := range columns {
			text := row[i]
			if below(i, text) {
				text = ""
			}
			cells = append(cells, paint(style(i, full[i]), text)+strings.Repeat(" ", widths[i]-runewidth.StringWidth(text)))
		}
		indent := ""
		if stacked {
			indent = columnGap
		}
		if text := strings.TrimRight(indent+strings.Join(cells, columnGap), " "); text != "" || !stacked {
			b.WriteString(text + "\n")
		}
	}
	entry := func(row []string, style func(int, string) Style) {
		if stacked {
			b.WriteString(paint(style(0, row[0]), row[0]) + "\n")
		}
		for _, part := range t.lines(row, widths, columns) {
			line(part, row, style)
		}
	}
	entry(t.Header, func(int, string) Style { return Bold })
	for _, row := range rows {
		entry(row, style)
		for i, cell := range row {
			if cell != "" && below(i, cell) {
				b.WriteString(columnGap + paint(Dim, strings.ToLower(t.Header[i])+":") + " " + paint(style(i, cell), cell) + "\n")
			}
		}
	}
	return b.String()
}

// fit chooses the columns that are side by side, and makes their widths fit. If not all of them
// fit, the table is stacked: the first column is on a line of its own.
func (t Table) fit(rows [][]string, widths []int, width int) (columns []int, stacked bool) {
	for i := range t.Header {
		columns = append(columns, i)
	}
	if width == 0 {
		return columns, false
	}
	full := slices.Clone(widths)
	beside := t.beside(rows, widths, columns, width)
	if rowWidth(widths, beside) <= width || len(columns) == 1 {
		return beside, false
	}
	copy(widths, full)
	width -= len(columnGap)
	columns = t.beside(rows, widths, columns[1:], width)
	for rowWidth(widths, columns) > width && len(columns) > 1 {
		widest := slices.MaxFunc(columns, func(a, b int) int { return widths[a] - widths[b] })
		columns = slices.DeleteFunc(columns, func(i int) bool { return i == widest })
	}
	return columns, true
}

// beside narrows columns as much as it can. Wrapped columns shrink first. Then columns of
// sentences shrink, the widest of them to its widest cell that fits. The result lacks the
// columns whose cells are written below their rows.
func (t Table) beside(rows [][]string, widths, columns []int, width int) []int {
	of := func(some []int) []int {
		return slices.DeleteFunc(slices.Clone(some), func(i int) bool { return !slices.Contains(columns, i) })
	}
	shrink(widths, columns, of(t.Wrap), width)
	for sentences := of(t.Sentences); len(sentences) > 0 && rowWidth(widths, columns) > width; {
		widest := slices.MaxFunc(sentences, func(a, b int) int { return widths[a] - widths[b] })
		header := func(i int) int { return runewidth.StringWidth(t.Header[i]) }
		room := width - rowWidth(widths, columns) + widths[widest]
		for _, other := range sentences {
			if other != widest { // the widest has precedence
				room += widths[other] - header(other)
			}
		}
		widths[widest] = header(widest)
		shown := false
		for _, row := range rows {
			if n := runewidth.StringWidth(row[widest]); n > 0 && n <= room {
				widths[widest], shown = max(widths[widest], n), true
			}
		}
		is := func(i int) bool { return i == widest }
		if sentences = slices.DeleteFunc(sentences, is); !shown || widths[widest] > room {
			columns = slices.DeleteFunc(slices.Clone(columns), is)
		}
	}
	return columns
}

func rowWidth(widths, columns []int) int {
	sum := (len(columns) - 1) * len(columnGap)
	for _, i := range columns {
		sum += widths[i]
	}
	return sum
}

// shrink narrows the widest of the wrapped columns until a row fits or they have their least
// width. If two are equally wide, it narrows the right one.
func shrink(widths, columns, wrapped []int, width int) {
	for sum := rowWidth(widths, columns); sum > width && len(wrapped) > 0; sum-- {
		widest := wrapped[0]
		for _, i := range wrapped {
			if widths[i] >= widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= minPhrase {
			return
		}
		widths[widest]--
	}
}

// lines returns a row as several lines: wrapped cells are broken to the widths of their
// columns.
func (t Table) lines(row []string, widths, columns []int) [][]string {
	lines := [][]string{slices.Clone(row)}
	for _, i := range t.Wrap {
		if !slices.Contains(columns, i) {
			continue
		}
		for n, part := range wrap(row[i], widths[i]) {
			if n == len(lines) {
				lines = append(lines, make([]string, len(row)))
			}
			lines[n][i] = part
		}
	}
	return lines
}

// wrap breaks a text between words. It also breaks words that are too long.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if joined := strings.TrimSpace(line + " " + word); runewidth.StringWidth(joined) <= width {
			line = joined
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		parts := strings.Split(runewidth.Wrap(word, width), "\n")
		lines, line = append(lines, parts[:len(parts)-1]...), parts[len(parts)-1]
	}
	return append(lines, line)
}

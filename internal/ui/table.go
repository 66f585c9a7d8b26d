package ui

import (
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/libresh/libre/internal/text"
)

// A Table has as many cells in each row as in its header. Cells are escaped, and written
// on one line.
type Table struct {
	Header []string
	Rows   [][]string
	Style  func(column int, cell string) Style // nil for no style

	// Sentences are the columns whose cells are never cut: on a terminal, a cell that does
	// not fit into its row is written below it.
	Sentences []int

	// Wrap are the columns whose cells may have several lines on a terminal, broken between
	// words: for descriptions, and not for what is pasted.
	Wrap []int

	// Escape makes a cell safe in Markdown; nil is [text.Markdown].
	Escape func(cell string) string
}

const (
	columnGap = "  "
	minColumn = 8  // width that a column keeps if the terminal is too narrow
	minPhrase = 20 // the same, for a column whose cells are wrapped
)

// Table writes a result to stdout. On a terminal it has a header and aligned columns, and
// is not wider than the terminal, except sentences. Elsewhere it has complete cells
// separated by tabs and no header, for cut and awk.
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

// NoteTable writes a table to stderr for people. It is aligned everywhere, because a log is
// read, not parsed, and is not cut, because the run does not repeat it. The JSON log does
// not have it, so each row must have been logged for its image.
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

// oneLine makes a text one line that is safe for a terminal.
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

// align lays out a table in a width; 0 is any width.
func (u *UI) align(t Table, rows [][]string, width int, paint func(Style, string) string) string {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	columns := t.fit(rows, widths, width)
	below := func(i int, cell string) bool {
		return slices.Contains(t.Sentences, i) && (!slices.Contains(columns, i) || runewidth.StringWidth(cell) > widths[i])
	}
	style := t.Style
	if style == nil {
		style = func(int, string) Style { return None }
	}
	var b strings.Builder
	line := func(row []string, full []string, style func(int, string) Style) {
		var line strings.Builder
		for n, i := range columns {
			text := row[i]
			if below(i, text) {
				text = ""
			} else if runewidth.StringWidth(text) > widths[i] {
				text = runewidth.Truncate(text, widths[i], "…")
			}
			if text != "" {
				text = paint(style(i, full[i]), text) + strings.Repeat(" ", widths[i]-runewidth.StringWidth(text))
			} else {
				text = strings.Repeat(" ", widths[i])
			}
			if n > 0 {
				line.WriteString(columnGap)
			}
			line.WriteString(text)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	line(t.Header, t.Header, func(int, string) Style { return Bold })
	for _, row := range rows {
		for _, part := range t.lines(row, widths) {
			line(part, row, style)
		}
		for i, cell := range row {
			if cell != "" && below(i, cell) {
				b.WriteString(columnGap + paint(Dim, strings.ToLower(t.Header[i])+":") + " " + paint(style(i, cell), cell) + "\n")
			}
		}
	}
	return b.String()
}

// fit chooses the columns that are side by side, and makes their widths fit. What is wrapped
// shrinks first, then columns of sentences, the widest of them to its widest cell that there is room for.
func (t Table) fit(rows [][]string, widths []int, width int) (columns []int) {
	for i := range t.Header {
		columns = append(columns, i)
	}
	if width == 0 {
		return columns
	}
	shrink(widths, columns, t.Wrap, width, minPhrase)
	for sentences := slices.Clone(t.Sentences); len(sentences) > 0 && rowWidth(widths, columns) > width; {
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
			columns = slices.DeleteFunc(columns, is)
		}
	}
	shrink(widths, columns, columns, width, minColumn)
	return columns
}

func rowWidth(widths, columns []int) int {
	sum := (len(columns) - 1) * len(columnGap)
	for _, i := range columns {
		sum += widths[i]
	}
	return sum
}

// shrink takes width from the widest of some columns until a row fits, or they have the least
// width. Of two columns it takes from the right one, since digests are to the right of names.
func shrink(widths, columns, some []int, width, least int) {
	for sum := rowWidth(widths, columns); sum > width && len(some) > 0; sum-- {
		widest := some[0]
		for _, i := range some {
			if widths[i] >= widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= least {
			return
		}
		widths[widest]--
	}
}

// lines are a row whose wrapped cells are broken into the widths of their columns.
func (t Table) lines(row []string, widths []int) [][]string {
	lines := [][]string{slices.Clone(row)}
	for _, i := range t.Wrap {
		for n, part := range wrap(row[i], widths[i]) {
			if n == len(lines) {
				lines = append(lines, make([]string, len(row)))
			}
			lines[n][i] = part
		}
	}
	return lines
}

// wrap breaks a text between words, and words that are too long.
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

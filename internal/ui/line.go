package ui

import (
	"fmt"
	"strings"

	"github.com/mattn/go-runewidth"
)

// narrow is the width below which units are left out.
const narrow = 60

// liveText is a line in pieces, which can be cut before colours are added.
type liveText []piece

type piece struct {
	style Style
	text  string
}

// cut shortens a line to a width in cells, and adds colours.
func (t liveText) cut(u *UI, width int) (painted string, cells int) {
	var b strings.Builder
	for _, piece := range t {
		text := piece.text
		if runewidth.StringWidth(text) > width-cells {
			text = runewidth.Truncate(text, width-cells, "…")
		}
		b.WriteString(u.paint(piece.style, text))
		cells += runewidth.StringWidth(text)
		if text != piece.text {
			break
		}
	}
	return b.String(), cells
}

// nameColumn returns the width of the column of names, at most half of the terminal's.
func (p *Progress) nameColumn(width int) int { return min(p.nameWidth, width/2) }

// liveLine: docs/backend/default  building 3/17 derivations  12s  compiling x
func (p *Progress) liveLine(l *line) liveText {
	width, _ := p.ui.opts.Size()
	column := p.nameColumn(width)
	name := l.image
	if runewidth.StringWidth(name) > column {
		name = runewidth.Truncate(name, column, "…")
	}
	name = runewidth.FillRight(name, column) + columnGap
	if l.state.Phase == Waiting {
		return liveText{{Dim, name + strings.TrimSpace(string(Waiting)+" "+l.state.Message)}}
	}
	elapsed := wholeSeconds(p.ui.opts.Now().Sub(l.started))
	text := liveText{{None, name + countText(l.state, width)}, {Dim, columnGap + elapsed}}
	if l.state.Message != "" && l.state.Phase != Realising {
		text = append(text, piece{Dim, columnGap + l.state.Message})
	}
	return text
}

// counted has the phases that count units, with their verbs while they run and when they start.
var counted = map[Phase]struct{ running, starting, unit string }{
	Building: {"building", "building", "derivation"},
	Stepping: {"step", "running", "step"},
	Layering: {"layers", "writing", "layer"},
}

// countText: building 3/17 derivations, step 3/9, layers 2/5.
func countText(s State, width int) string {
	c, ok := counted[s.Phase]
	switch {
	case !ok:
		return startText(s)
	case s.Total == 0:
		return startText(s)
	}
	text := fmt.Sprintf("%s %d/%d", c.running, s.Done, s.Total)
	if s.Phase == Building && width >= narrow {
		text += " " + plural(s.Total, c.unit)
	}
	return text
}

// startText: building 3 derivations, running 9 steps, writing 5 layers.
func startText(s State) string {
	c, ok := counted[s.Phase]
	switch {
	case s.Phase == Realising:
		return s.Message
	case !ok:
		return string(s.Phase)
	case s.Total > 0:
		return c.starting + " " + Count(s.Total, c.unit)
	case s.Phase == Building:
		return c.starting
	}
	return c.starting + " " + plural(0, c.unit)
}

// Count returns a number with its unit: 1 image, 2 images.
func Count(n int, unit string) string { return fmt.Sprintf("%d %s", n, plural(n, unit)) }

func plural(n int, unit string) string {
	if n == 1 {
		return unit
	}
	return unit + "s"
}

// finalLine returns the last line of an image. It is not cut. On a terminal it has columns,
// otherwise a colon, like the lines before it.
func (p *Progress) finalLine(l *line) string {
	elapsed := Duration(p.ui.opts.Now().Sub(l.started))
	var style Style
	var text string
	switch l.state.Phase {
	case Done:
		style, text = OK, "done in "+elapsed
	case Ready:
		style, text = OK, "ready in "+elapsed
	case Published:
		style, text = OK, "published in "+elapsed
	case Failed:
		style, text = Error, "failed after "+elapsed
	case Skipped:
		style, text = Dim, "nothing to do"
		if l.state.Message != "" {
			text = "skipped"
		}
	}
	if !p.live {
		if l.state.Message != "" {
			text += ": " + l.state.Message
		}
		return l.image + ": " + text
	}
	width, _ := p.ui.opts.Size()
	text = runewidth.FillRight(l.image, p.nameColumn(width)) + columnGap + p.ui.paint(style, text)
	if l.state.Message != "" {
		text += columnGap + l.state.Message
	}
	return text
}

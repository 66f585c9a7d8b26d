// Command picture runs a script on a terminal of its own, and writes what is on the screen
// at the end as an SVG. It has a module of its own, so that libre needs none of this.
//
//	picture COLUMNS SCRIPT [ARGUMENT...] > picture.svg
package main

import (
	"fmt"
	"html"
	"image/color"
	"io"
	"log"
	"os"
	"os/exec"
	"strconv"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

const (
	rows        = 200 // more than any script writes: nothing scrolls away
	cellWidth   = 8.4 // pixels
	cellHeight  = 19.0
	fontSize    = 14.0
	margin      = 18.0
	titleHeight = 34.0
)

func main() {
	columns, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	screen := vt.NewEmulator(columns, rows)
	if err := run(screen, columns, os.Args[2:]); err != nil {
		log.Fatal(err)
	}
	fmt.Print(draw(screen, columns))
}

// run runs a command on the screen until it ends.
func run(screen *vt.Emulator, columns int, command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(columns), Rows: rows})
	if err != nil {
		return err
	}
	defer terminal.Close()
	go io.Copy(io.Discard, screen) // its answers to questions
	// Reading ends with an error when the last program on the terminal ends.
	_, _ = io.Copy(screen, terminal)
	return cmd.Wait()
}

// draw makes an SVG with a background of its own, so that it can be read on a light page
// and on a dark one.
func draw(screen *vt.Emulator, columns int) string {
	var lines []string
	last := 0
	for y := range rows {
		line := drawLine(screen, columns, y)
		lines = append(lines, line)
		if line != "" {
			last = y + 1
		}
	}
	width := 2*margin + cellWidth*float64(columns)
	height := titleHeight + margin + cellHeight*float64(last)
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="libre on a terminal">
<rect width="100%%" height="100%%" rx="9" fill="#16181d"/>
<g fill="#4a505c"><circle cx="22" cy="18" r="5.5"/><circle cx="40" cy="18" r="5.5"/><circle cx="58" cy="18" r="5.5"/></g>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="%.0f" fill="#d9dde5" xml:space="preserve">
`, width, height, width, height, fontSize)
	svg.WriteString(strings.Join(lines[:last], ""))
	return svg.String() + "</g>\n</svg>\n"
}

// drawLine is "" for an empty line.
func drawLine(screen *vt.Emulator, columns, y int) string {
	var line strings.Builder
	for x := 0; x < columns; {
		cell := screen.CellAt(x, y)
		style, text, begin := cell.Style, "", x
		for x < columns && screen.CellAt(x, y).Style.Equal(&style) {
			text += screen.CellAt(x, y).Content
			x += max(screen.CellAt(x, y).Width, 1)
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		spaces := len(text) - len(strings.TrimLeft(text, " "))
		begin, text = begin+spaces, strings.TrimSpace(text)
		fmt.Fprintf(&line, `<text x="%.1f" y="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`+"\n",
			margin+cellWidth*float64(begin), titleHeight+cellHeight*(float64(y)+0.75), cellWidth*float64(ansi.StringWidth(text)), attributes(style), html.EscapeString(text))
	}
	return line.String()
}

// palette has the colours that libre uses, for the dark background.
var palette = map[color.Color]string{ansi.Red: "#ff7b72", ansi.Green: "#5fd38d", ansi.Yellow: "#e3b341", ansi.Cyan: "#56c5d6", ansi.BrightBlack: "#7d8694"}

func attributes(style uv.Style) string {
	made := ""
	if fill, ok := palette[style.Fg]; ok {
		made += ` fill="` + fill + `"`
	}
	if style.Attrs&uv.AttrBold != 0 {
		made += ` font-weight="bold"`
	}
	if style.Attrs&uv.AttrFaint != 0 {
		made += ` fill-opacity="0.6"`
	}
	return made
}

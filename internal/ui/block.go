package ui

import "strings"

// A Block is an error in several lines.
type Block struct {
	Heading string
	Lines   []string
	Quoted  []string // the last lines of a log
}

// Block writes a block to stderr for people, even if notes are off. The JSON log does not
// contain it, so its content must also be logged.
func (u *UI) Block(b Block) {
	if u.opts.JSON {
		return
	}
	heading := oneLine(b.Heading)
	if u.opts.StderrTerminal {
		heading = u.paint(Error, heading)
	}
	var out strings.Builder
	out.WriteString(heading + "\n")
	for _, line := range b.Lines {
		out.WriteString("  " + oneLine(line) + "\n")
	}
	for _, line := range b.Quoted {
		out.WriteString("  | " + oneLine(line) + "\n")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.log(out.String())
}

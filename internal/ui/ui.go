// Package ui writes results to stdout, and progress and notes to stderr. On a terminal,
// progress is redrawn in place. Elsewhere it is lines of text or of JSON.
package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"golang.org/x/term"

	"github.com/libresh/libre/internal/text"
)

// Options are the streams and their abilities.
type Options struct {
	Stdout, Stderr io.Writer

	// Whether they are terminals that can move the cursor.
	StdoutTerminal, StderrTerminal bool

	Color bool // on terminals
	JSON  bool // progress and notes as JSON lines

	Fold Fold // of progress, without a terminal

	Quiet   bool // no progress and no notes
	Verbose bool // also the lines of builds, as they are written

	Size func() (width, height int) // of the terminal, in cells; called for each drawing
	Now  func() time.Time
}

// Detect finds out the abilities of stdout and stderr. A dumb terminal (TERM) does not count as
// a terminal. NO_COLOR (https://no-color.org) turns colours off.
func Detect(stdout, stderr *os.File, getenv func(string) string) Options {
	dumb := getenv("TERM") == "dumb"
	isTerminal := func(f *os.File) bool { return !dumb && term.IsTerminal(int(f.Fd())) }
	return Options{
		Stdout:         stdout,
		Stderr:         stderr,
		StdoutTerminal: isTerminal(stdout),
		StderrTerminal: isTerminal(stderr),
		Color:          getenv("NO_COLOR") == "",
		Fold:           detectFold(getenv),
		Size: func() (int, int) {
			for _, f := range []*os.File{stderr, stdout} {
				if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
					return w, h
				}
			}
			return 80, 24
		},
		Now: time.Now,
	}
}

// A UI writes to both streams. It is safe for concurrent use.
type UI struct {
	opts Options

	mu       sync.Mutex
	progress *Progress // the one that is shown
	loggedAt time.Time // when something was last written to stderr
	folds    int       // number of folds so far
	summary  io.Writer // for tables as Markdown; nil for none
}

func New(opts Options) *UI {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &UI{opts: opts}
}

// Style is the meaning of a text. It is shown as one of the 16 colours that every terminal has
// and its user can set.
type Style int

const (
	None Style = iota
	OK
	Warn
	Error
	Dim
	Bold
)

var sgr = map[Style]string{OK: "32", Warn: "33", Error: "31", Dim: "2", Bold: "1"}

// paint adds a colour to text for a terminal.
func (u *UI) paint(style Style, words string) string {
	code := sgr[style]
	if code == "" || words == "" || !u.opts.Color {
		return words
	}
	return "\x1b[" + code + "m" + words + "\x1b[0m"
}

// Printf writes a result to stdout. The format must end the line. The text is escaped.
func (u *UI) Printf(format string, args ...any) error {
	return u.result([]byte(text.Output(fmt.Sprintf(format, args...))))
}

// JSON writes a result to stdout as indented JSON. It escapes characters that could harm a
// terminal, and drops none.
func (u *UI) JSON(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	var escaped bytes.Buffer
	for _, r := range b.String() {
		if r < 0x7f || !text.Harmful(r) {
			escaped.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&escaped, `\u%04x`, unit)
		}
	}
	return u.result(escaped.Bytes())
}

// result writes to stdout. Live lines on the same terminal move below it.
func (u *UI) result(b []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p := u.progress; p != nil && p.live && u.opts.StdoutTerminal {
		p.makeRoom()
		defer p.draw()
	}
	_, err := u.opts.Stdout.Write(b)
	return err
}

// Notef writes a note to stderr, above the live lines, unless the UI is quiet. It is escaped,
// and may have several lines.
func (u *UI) Notef(format string, args ...any) {
	if !u.opts.Quiet {
		u.message("note", None, "", format, args)
	}
}

// Requestedf writes a note that a flag asked for, even if the UI is quiet.
func (u *UI) Requestedf(format string, args ...any) { u.message("note", None, "", format, args) }

// Warnf writes a warning to stderr, above the live lines.
func (u *UI) Warnf(format string, args ...any) { u.message("warning", Warn, "warning: ", format, args) }

// Errorf writes an error to stderr, above the live lines.
func (u *UI) Errorf(format string, args ...any) { u.message("error", Error, "error: ", format, args) }

func (u *UI) message(kind string, style Style, prefix, format string, args []any) {
	message := strings.TrimRight(text.Output(fmt.Sprintf(format, args...)), "\n")
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.opts.JSON {
		u.logJSON(event{Phase: kind, Message: message})
		return
	}
	if u.opts.StderrTerminal {
		prefix = u.paint(style, prefix)
	}
	if u.progress != nil && kind != "note" { // nobody opens a fold to look for a warning or an error
		u.closeFold()
		defer u.openFold()
	}
	u.log(prefix + message + "\n")
}

// log writes complete lines to stderr, or keeps them for the next drawing of the live
// lines. The caller holds mu.
func (u *UI) log(lines string) {
	u.loggedAt = u.opts.Now()
	if p := u.progress; p != nil && p.live {
		p.above.WriteString(lines)
		p.dirty = true
		return
	}
	io.WriteString(u.opts.Stderr, lines)
}

// An event is a line of the JSON log. Phase is the phase of an image, or note, warning,
// error, or running: what still runs. Done and Total count the units of the phase.
type event struct {
	Time    string `json:"time"` // RFC 3339
	Image   string `json:"image,omitempty"`
	Phase   string `json:"phase"`
	Done    int    `json:"done,omitempty"`
	Total   int    `json:"total,omitempty"`
	Message string `json:"message,omitempty"`
}

func (u *UI) logJSON(e event) {
	e.Time = u.opts.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	u.log(string(b) + "\n")
}

package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
)

// Phase is what is being done for an image. Its text is what the JSON log has.
type Phase string

const (
	Waiting    Phase = "waiting"
	Evaluating Phase = "evaluating"
	Realising  Phase = "realising" // by Nix, for all images; Message says what is left to do
	Building   Phase = "building"  // Done and Total count derivations
	Stepping   Phase = "steps"     // … steps of a Containerfile
	Layering   Phase = "layers"    // … layers
	Fetching   Phase = "fetching"  // what others are built on
	Publishing Phase = "publishing"
	Bumping    Phase = "bumping"
	Done       Phase = "done"
	Failed     Phase = "failed"
	Skipped    Phase = "skipped" // there was nothing to do, or Message says why not
)

func (p Phase) final() bool { return p == Done || p == Failed || p == Skipped }

// State is where an image is. Message is outside text as it came: the last line
// of a build's log, the digest of what is done, the reason of a failure.
type State struct {
	Phase       Phase
	Done, Total int
	Message     string
}

// redrawEvery bounds how often live lines are drawn.
const redrawEvery = 100 * time.Millisecond

// Progress shows a list of images and where they are. It is safe for use by
// several goroutines.
type Progress struct {
	ui   *UI
	live bool          // lines are redrawn in place
	stop chan struct{} // closed to end the redrawing
	done chan struct{} // closed when it has ended

	// Guarded by ui.mu.
	lines     []*line // of unfinished images, in the order they came
	finished  map[Phase]int
	nameWidth int
	above     strings.Builder // lines to scroll up at the next drawing
	dirty     bool
	drawnAt   time.Time
	drawn     []int // width in cells of each line on the screen
	closing   sync.Once
}

type line struct {
	image   string
	state   State
	started time.Time // zero while it waits
}

// Progress begins to show progress, until Close. Only one can be shown at once.
func (u *UI) Progress() *Progress {
	p := u.newProgress()
	if p.live {
		go p.redraw()
	} else {
		close(p.done)
	}
	return p
}

func (u *UI) newProgress() *Progress {
	p := &Progress{
		ui:       u,
		live:     u.opts.StderrTerminal && !u.opts.JSON,
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		finished: map[Phase]int{},
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.progress = p
	return p
}

func (p *Progress) redraw() {
	defer close(p.done)
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.ui.mu.Lock()
			p.drawIfChanged()
			p.ui.mu.Unlock()
		}
	}
}

// Close ends the live lines: what was not finished disappears. A second time does
// nothing.
func (p *Progress) Close() {
	p.closing.Do(func() { close(p.stop) })
	<-p.done
	p.ui.mu.Lock()
	defer p.ui.mu.Unlock()
	p.lines = nil
	if p.live {
		p.draw()
	}
	p.ui.progress = nil
}

// Set says where an image is. An image that was finished can begin again.
func (p *Progress) Set(image string, state State) {
	image, state.Message = oneLine(image), oneLine(state.Message)
	p.ui.mu.Lock()
	defer p.ui.mu.Unlock()
	l := p.line(image)
	before := l.state
	l.state = state
	if l.started.IsZero() && state.Phase != Waiting {
		l.started = p.ui.opts.Now()
	}
	p.dirty = true
	switch {
	case p.ui.opts.JSON:
		if state.Phase != before.Phase || state.Done != before.Done || state.Total != before.Total {
			p.ui.logJSON(event{Image: image, Phase: string(state.Phase), Done: state.Done, Total: state.Total, Message: state.Message})
		}
	case state.Phase.final():
		p.ui.log(p.finalLine(l) + "\n")
	case !p.live && state.Phase != before.Phase && state.Phase != Waiting:
		p.ui.log(image + ": " + startText(state) + "\n")
	}
	if state.Phase.final() {
		p.finished[state.Phase]++
		p.remove(l)
	}
}

// line finds an image's line, or adds one.
func (p *Progress) line(image string) *line {
	for _, l := range p.lines {
		if l.image == image {
			return l
		}
	}
	l := &line{image: image}
	p.lines = append(p.lines, l)
	p.nameWidth = max(p.nameWidth, runewidth.StringWidth(image))
	return l
}

func (p *Progress) remove(gone *line) {
	for i, l := range p.lines {
		if l == gone {
			p.lines = append(p.lines[:i], p.lines[i+1:]...)
			return
		}
	}
}

// drawIfChanged draws when something was said, or a second has gone by.
func (p *Progress) drawIfChanged() {
	if p.dirty || len(p.lines) > 0 && p.ui.opts.Now().Sub(p.drawnAt) >= time.Second {
		p.draw()
	}
}

// draw replaces the live lines by what is true now, below what scrolls up. It
// is one write, so that a terminal shows no half of it.
func (p *Progress) draw() {
	width, height := p.ui.opts.Size()
	var b strings.Builder
	b.WriteString(p.eraseSequence(width))
	b.WriteString(p.above.String())
	p.above.Reset()
	// One cell and one row stay free: text that fills the last cell makes some
	// terminals scroll, and the cursor stands below the lines.
	for _, text := range p.liveLines(max(height-1, 1)) {
		cut, n := text.cut(p.ui, max(width-1, 1))
		b.WriteString(cut + "\n")
		p.drawn = append(p.drawn, n)
	}
	p.dirty, p.drawnAt = false, p.ui.opts.Now()
	io.WriteString(p.ui.opts.Stderr, b.String())
}

// makeRoom takes the live lines away, and brings what is to stand above them.
func (p *Progress) makeRoom() {
	width, _ := p.ui.opts.Size()
	io.WriteString(p.ui.opts.Stderr, p.eraseSequence(width)+p.above.String())
	p.above.Reset()
}

// eraseSequence moves the cursor up to the first live line and clears all
// below. A line that was drawn when the terminal was wider takes several rows
// now.
func (p *Progress) eraseSequence(width int) string {
	rows := 0
	for _, n := range p.drawn {
		rows += max(1, (n+width-1)/width)
	}
	p.drawn = nil
	if rows == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", rows)
}

// liveLines are the lines of unfinished images. Where they are more than there
// are rows, those that wait are left out, and the last row counts all.
func (p *Progress) liveLines(rows int) []liveText {
	var texts []liveText
	if len(p.lines) <= rows {
		for _, l := range p.lines {
			texts = append(texts, p.liveLine(l))
		}
		return texts
	}
	for _, l := range p.lines {
		if l.state.Phase != Waiting && len(texts) < rows-1 {
			texts = append(texts, p.liveLine(l))
		}
	}
	return append(texts, liveText{{Dim, p.summary()}})
}

func (p *Progress) summary() string {
	running, waiting := 0, 0
	for _, l := range p.lines {
		if l.state.Phase == Waiting {
			waiting++
		} else {
			running++
		}
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{p.finished[Done], "done"}, {p.finished[Skipped], "skipped"}, {p.finished[Failed], "failed"},
		{running, "running"}, {waiting, "waiting"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(parts, ", ")
}

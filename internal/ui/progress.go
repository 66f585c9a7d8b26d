package ui

import (
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
)

// Phase is what libre does for an image. The JSON log contains its text.
type Phase string

const (
	Waiting    Phase = "waiting"
	Evaluating Phase = "evaluating"
	Realising  Phase = "realising" // by Nix, for all images; Message is the remaining work
	Building   Phase = "building"  // Done and Total count derivations
	Stepping   Phase = "steps"     // … steps of a Containerfile
	Layering   Phase = "layers"    // … layers
	Fetching   Phase = "fetching"  // base images
	Publishing Phase = "publishing"
	Bumping    Phase = "bumping"
	Patching   Phase = "patching"
	Hashing    Phase = "hashing"
	Looking    Phase = "looking"  // at a source
	Starting   Phase = "starting" // a service
	Ready      Phase = "ready"    // it answers; Message is its address
	Published  Phase = "published"
	Done       Phase = "done"
	Failed     Phase = "failed"
	Skipped    Phase = "skipped" // there is nothing to do, or Message is the reason
)

func (p Phase) final() bool {
	return p == Done || p == Ready || p == Published || p == Failed || p == Skipped
}

// isShared reports whether a phase is for all images together.
func (p Phase) isShared() bool { return p == Evaluating || p == Realising }

// State is the progress of an image. Message is unescaped text: the last line of a build's log,
// what the image waits for ("for nix"), the digest of a finished image, or the reason of a
// failure.
type State struct {
	Phase       Phase
	Done, Total int
	Message     string
}

// redrawEvery is the time between two drawings of the live lines.
const redrawEvery = 100 * time.Millisecond

// Progress shows the state of a list of images. It is safe for concurrent use.
type Progress struct {
	ui   *UI
	live bool          // lines are redrawn in place
	stop chan struct{} // closed to end the redrawing
	done chan struct{} // closed when it has ended

	// Guarded by ui.mu.
	started   time.Time
	lines     []*line                  // of unfinished images, in the order of their first state
	finished  map[string]Phase         // by image
	expected  map[string]time.Duration // by image, how long it took in an earlier run
	pace      float64
	traffic   traffic
	nameWidth int
	above     strings.Builder // lines to write above the live ones at the next drawing
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

// Progress shows progress until Close. Only one Progress can be shown at a time.
func (u *UI) Progress() *Progress {
	p := u.newProgress()
	switch {
	case p.live:
		go p.every(redrawEvery, p.drawIfChanged)
	case u.opts.Quiet:
		close(p.done)
	default:
		go p.every(time.Second, p.beat)
	}
	return p
}

func (u *UI) newProgress() *Progress {
	p := &Progress{
		ui:       u,
		live:     u.opts.StderrTerminal && !u.opts.JSON && !u.opts.Quiet,
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		finished: map[string]Phase{},
		expected: map[string]time.Duration{},
		started:  u.opts.Now(),
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.progress = p
	u.openFold()
	return p
}

// every calls a function at an interval, until Close.
func (p *Progress) every(interval time.Duration, do func()) {
	defer close(p.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.ui.mu.Lock()
			do()
			p.ui.mu.Unlock()
		}
	}
}

// Close removes the lines of unfinished images. It may be called twice.
func (p *Progress) Close() {
	p.closing.Do(func() { close(p.stop) })
	<-p.done
	p.ui.mu.Lock()
	defer p.ui.mu.Unlock()
	p.lines = nil
	if p.live {
		p.draw()
	}
	if p.ui.progress == p {
		p.ui.closeFold()
		p.ui.progress = nil
	}
}

// Set sets the state of an image. A finished image can start again.
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
	if p.ui.opts.Verbose && !p.ui.opts.JSON && !state.Phase.final() && state.Phase != Realising && state.Phase != Waiting && state.Message != "" && state.Message != before.Message {
		p.ui.log(image + " | " + state.Message + "\n")
	}
	switch {
	case p.ui.opts.Quiet:
	case p.ui.opts.JSON:
		if state.Phase != before.Phase || state.Done != before.Done || state.Total != before.Total {
			p.ui.logJSON(event{Image: image, Phase: string(state.Phase), Done: state.Done, Total: state.Total, Message: state.Message})
		}
	case state.Phase == Skipped && state.Message == "" && !p.ui.opts.Verbose: // the summary counts it
	case state.Phase.final():
		p.ui.log(p.finalLine(l) + "\n")
	case !p.live && state.Phase != before.Phase && state.Phase != Waiting:
		p.ui.log(image + ": " + startText(state) + "\n")
	}
	if state.Phase.final() {
		p.finished[image] = state.Phase
		p.remove(l)
	}
}

// line finds the line of an image, or adds one.
func (p *Progress) line(image string) *line {
	for _, l := range p.lines {
		if l.image == image {
			return l
		}
	}
	delete(p.finished, image)
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

// drawIfChanged draws if a state changed, or if a second has passed.
func (p *Progress) drawIfChanged() {
	if p.dirty || len(p.lines) > 0 && p.ui.opts.Now().Sub(p.drawnAt) >= time.Second {
		p.draw()
	}
}

// draw replaces the live lines, and writes the lines above them. It writes everything at once,
// so a terminal never shows half of it.
func (p *Progress) draw() {
	width, height := p.ui.opts.Size()
	var b strings.Builder
	b.WriteString(p.eraseSequence(width))
	b.WriteString(p.above.String())
	p.above.Reset()
	// One cell and one row stay free: some terminals scroll if text fills the last cell,
	// and the cursor is below the lines.
	for _, text := range p.liveLines(max(height-1, 1)) {
		cut, n := text.cut(p.ui, max(width-1, 1))
		b.WriteString(cut + "\n")
		p.drawn = append(p.drawn, n)
	}
	p.dirty, p.drawnAt = false, p.ui.opts.Now()
	io.WriteString(p.ui.opts.Stderr, b.String())
}

// makeRoom removes the live lines, and writes the lines above them.
func (p *Progress) makeRoom() {
	width, _ := p.ui.opts.Size()
	io.WriteString(p.ui.opts.Stderr, p.eraseSequence(width)+p.above.String())
	p.above.Reset()
}

// eraseSequence returns the sequence that moves the cursor to the first live line and clears
// everything below. It clears row by row, because tmux keeps a copy of what is cleared at once.
// A line has several rows if the terminal was wider when it was drawn.
func (p *Progress) eraseSequence(width int) string {
	rows := 0
	for _, n := range p.drawn {
		rows += max(1, (n+width-1)/width)
	}
	p.drawn = nil
	if rows == 0 {
		return ""
	}
	return strings.Repeat("\x1b[A\r\x1b[K", rows)
}

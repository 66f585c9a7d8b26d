package ui

import (
	"fmt"
	"strings"
	"time"
)

// liveLines returns the lines of unfinished images, and one for all of them if there are
// several or there is more to say. If there are too few rows, waiting images are left out.
func (p *Progress) liveLines(rows int) []liveText {
	var texts []liveText
	var summary []liveText
	if traffic := p.traffic.text(p.ui.opts.Now()); len(p.lines) > 0 && (len(p.lines)+len(p.finished) > 3 || traffic != "" || p.left() > 0) {
		summary = []liveText{{{Dim, p.summary(traffic)}}}
	}
	if len(p.lines)+len(summary) <= rows {
		for _, l := range p.lines {
			texts = append(texts, p.liveLine(l))
		}
		return append(texts, summary...)
	}
	for _, l := range p.lines {
		if l.state.Phase != Waiting && len(texts) < rows-1 {
			texts = append(texts, p.liveLine(l))
		}
	}
	return append(texts, liveText{{Dim, p.summary("")}})
}

// summary: 3 done, 2 running, 4 waiting, 42s, about 1m20s left; sent 12 MiB, 3.1 MiB/s.
func (p *Progress) summary(traffic string) string {
	became := map[string]int{}
	for _, phase := range p.finished {
		switch phase {
		case Skipped, Failed:
			became[string(phase)]++
		default:
			became["done"]++
		}
	}
	for _, l := range p.lines {
		if l.state.Phase == Waiting {
			became["waiting"]++
		} else {
			became["running"]++
		}
	}
	var parts []string
	for _, what := range []string{"done", "skipped", "failed", "running", "waiting"} {
		if became[what] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", became[what], what))
		}
	}
	parts = append(parts, wholeSeconds(p.ui.opts.Now().Sub(p.started)))
	if left := p.left(); left > 0 {
		parts = append(parts, "about "+wholeSeconds(left)+" left")
	}
	text := strings.Join(parts, ", ")
	if traffic != "" {
		text += "; " + traffic
	}
	return text
}

// Expect sets the expected time of an image, from an earlier run.
func (p *Progress) Expect(image string, took time.Duration) {
	p.ui.mu.Lock()
	defer p.ui.mu.Unlock()
	p.expected[oneLine(image)] = took
}

// SetPace sets the duration of an earlier run as a share of the sum of its images' times: 0.5
// if two were made in parallel.
func (p *Progress) SetPace(pace float64) {
	p.ui.mu.Lock()
	defer p.ui.mu.Unlock()
	p.pace = pace
}

// left estimates the time until the last image ends: the sum of all images at the pace of an
// earlier run, but at least the time of the longest. It returns 0 if an image's time is
// unknown.
func (p *Progress) left() time.Duration {
	var sum, longest time.Duration
	for _, l := range p.lines {
		took, known := p.expected[l.image]
		if !known && !l.state.Phase.isShared() {
			return 0
		}
		if !l.started.IsZero() {
			took -= p.ui.opts.Now().Sub(l.started)
		}
		took = max(took, 0)
		sum, longest = sum+took, max(longest, took)
	}
	return max(longest, time.Duration(float64(sum)*p.pace)).Truncate(time.Second)
}

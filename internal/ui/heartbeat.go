package ui

import (
	"fmt"
	"strings"
	"time"
)

// A silent log looks like a run that hangs. Some CI systems end such a run.
const (
	silence   = 30 * time.Second // after this time a line says what still runs
	beatNames = 3                // number of names in such a line
)

// beat writes what still runs, if nothing was written for a while.
func (p *Progress) beat() {
	now := p.ui.opts.Now()
	var running []string
	for _, l := range p.lines {
		if l.state.Phase != Waiting {
			running = append(running, strings.TrimSpace(l.image+" "+startText(l.state))+", "+wholeSeconds(now.Sub(l.started)))
		}
	}
	if len(running) == 0 || now.Sub(p.ui.loggedAt) < silence {
		return
	}
	if more := len(running) - beatNames; more > 0 {
		running = append(running[:beatNames], fmt.Sprintf("%d more", more))
	}
	message := strings.Join(running, "; ")
	if traffic := p.traffic.text(now); traffic != "" {
		message += "; " + traffic
	}
	if p.ui.opts.JSON {
		p.ui.logJSON(event{Phase: "running", Message: message})
		return
	}
	p.ui.log("still running: " + message + "\n")
}

package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/history"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
)

// How build and push end: a block for each cause of a failure, and one line that counts.

// onlyCounted reports whether the table leaves out an image or a record: on a terminal,
// unchanged ones are only counted.
func (e *env) onlyCounted(s state.State) bool {
	return s == state.Unchanged && e.options.StdoutTerminal && !e.options.Verbose
}

// failed is an image, a release or an app that failed.
type failed struct {
	name string
	*release.Failure
}

// printFailures prints each cause once, with the names of everything that failed because of
// it.
func (e *env) printFailures(all []failed) {
	table := ui.Table{Header: []string{"IMAGE", "STEP", "REASON", "LOG"}}
	type cause struct{ step, reason, log string }
	names := map[cause][]string{}
	var causes []cause
	tails, fixes := map[cause][]string{}, map[cause]string{}
	for _, f := range all {
		c := cause{f.Step, fault.OfDisk(f).Error(), f.Log}
		if names[c] == nil {
			causes = append(causes, c)
		}
		names[c], tails[c] = append(names[c], f.name), f.Tail
		if nix.IsWrongHash(f) {
			fixes[c] = "libre hash " + strings.Split(f.name, "/")[0]
		}
		table.Rows = append(table.Rows, []string{f.name, c.step, c.reason, c.log})
	}
	e.Summary(table)
	for _, c := range causes {
		block := ui.Block{Heading: "failed: " + strings.Join(names[c], ", "), Lines: []string{c.step + ": " + c.reason}}
		e.SummaryLog(block.Heading, tails[c])
		if _, shown := e.shownTails.Load(tailKey(tails[c])); len(tails[c]) > 1 && !shown { // a single line is the reason
			block.Quoted = tails[c]
		}
		if fix := fixes[c]; fix != "" {
			block.Lines = append(block.Lines, "next: "+fix)
		}
		if c.log != "" {
			block.Lines = append(block.Lines, "log: "+c.log)
		}
		e.Block(block)
	}
}

// showTail prints the last lines of a failed build at once on a terminal. It prints them
// once for images that failed together.
func (e *env) showTail(name string, tail []string) {
	if len(tail) < 2 || !e.options.StderrTerminal || e.options.JSON || e.options.Quiet {
		return
	}
	if _, shown := e.shownTails.LoadOrStore(tailKey(tail), true); shown {
		return
	}
	for _, line := range tail {
		e.Notef("%s | %s", name, line)
	}
}

func tailKey(lines []string) string { return strings.Join(lines, "\n") }

// kinds are what a run works on, by the number of slashes in its name: docs, docs/default,
// docs/backend/default.
var kinds = [...]string{"app", "release", "image"}

// counts counts the results of a run, by kind. Apps are those that cannot be evaluated.
type counts [len(kinds)]struct {
	failed map[string]bool // by name
	states []state.State   // several for one that was copied, or whose tags moved
}

func (c *counts) add(name string, s state.State) {
	of := &c[strings.Count(name, "/")]
	if of.failed == nil {
		of.failed = map[string]bool{}
	}
	of.failed[name] = of.failed[name] || s == state.Failed
	of.states = append(of.states, s)
}

// someFailed returns the error that says how many of each kind failed.
func (c *counts) someFailed() error {
	var parts []string
	for kind, of := range slices.Backward(c[:]) {
		failed := 0
		for _, has := range of.failed {
			if has {
				failed++
			}
		}
		switch {
		case failed > 0 && kind == 0:
			parts = append(parts, ui.Count(failed, "app")+" cannot be evaluated")
		case failed > 0:
			parts = append(parts, failedOf(failed, len(of.failed), kinds[kind]))
		}
	}
	return someFailed(strings.Join(parts, ", "))
}

// failedOf returns a text such as "2 of 4 images failed".
func failedOf(n, all int, what string) string {
	return fmt.Sprintf("%d of %s failed", n, ui.Count(all, what))
}

// conclude says what became of all, each cause of a failure once, and remembers it for
// libre logs.
func (e *env) conclude(ws *workspace, run *buildWatcher, all []failed, count counts) {
	e.printFailures(all)
	line := closing(run.started, count)
	e.Notef("%s", line)
	e.SummaryText(line)
	remembered := history.Run{
		Started: run.started, Seconds: time.Since(run.started).Seconds(), Directory: ws.dir,
		Command: e.args, Result: line, Took: run.took,
	}
	for _, f := range all {
		remembered.Failures = append(remembered.Failures, history.Failure{Name: f.name, Step: f.Step, Reason: f.Error(), Log: f.Log})
	}
	if err := history.Add(ws.historyDir(), remembered); err != nil {
		e.Warnf("libre logs will not list this run: %v", err)
	}
}

// closing: 15 images: 3 built, 12 unchanged, 1m53s.
func closing(started time.Time, all counts) string {
	var whats, parts []string
	became := map[state.State]int{}
	var order []state.State
	for kind, of := range slices.Backward(all[:]) {
		if len(of.failed) > 0 {
			whats = append(whats, ui.Count(len(of.failed), kinds[kind]))
		}
		for _, s := range of.states {
			if became[s]++; became[s] == 1 {
				order = append(order, s)
			}
		}
	}
	if len(whats) == 0 {
		return fmt.Sprintf("%s, %s", imageCount(0), ui.Duration(time.Since(started)))
	}
	last := []state.State{state.Unchanged, state.Skipped, state.Held, state.Failed}
	slices.SortStableFunc(order, func(a, b state.State) int { return slices.Index(last, a) - slices.Index(last, b) })
	for _, s := range order {
		parts = append(parts, fmt.Sprintf("%d %s", became[s], s))
	}
	return fmt.Sprintf("%s: %s, %s", strings.Join(whats, ", "), strings.Join(parts, ", "), ui.Duration(time.Since(started)))
}

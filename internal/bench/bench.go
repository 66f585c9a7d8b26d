// Package bench runs libre and other programs that do the same work, in alternating rounds, and
// keeps the figures for docs/performance.md.
package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Rounds is how often each program runs at least. Short programs run more often, because the noise
// of a machine is the same for all: until a measurement has taken enough, at most mostRounds times.
const (
	Rounds     = 5
	mostRounds = 25
	enough     = 10 * time.Second
)

// Folder is the environment variable that names the folder for the rows: one file a row. Without
// it, nothing is kept.
const Folder = "LIBRE_BENCH_ROWS"

// Row is a row of docs/performance.md: what libre and other programs need for the same work.
type Row struct {
	Table string  `json:"table"`
	Work  string  `json:"work"`
	Unit  string  `json:"unit"`           // of the values: s, MB, requests, evaluations
	Goal  float64 `json:"goal,omitempty"` // the greatest ratio of libre to the yardstick; absent for none
	Sides []Side  `json:"sides"`          // libre, the yardstick, then others
}

// Side is what one program needed.
type Side struct {
	Name     string    `json:"name"`
	Values   []float64 `json:"values"`             // one a round, in the row's unit
	CPU      float64   `json:"cpu,omitempty"`      // median of the CPU seconds of the program and its children
	Memory   float64   `json:"memory,omitempty"`   // greatest resident memory, in MB; absent if it was not measured
	Sent     float64   `json:"sent,omitempty"`     // MB that a registry received
	Requests float64   `json:"requests,omitempty"` // that a registry received
	Ratio    Spread    `json:"ratio"`              // of libre to this side
}

// Spread summarises the values, or the ratios, of the rounds.
type Spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// Use is what one run used besides time, as far as it was measured.
type Use struct {
	Memory   int64 // bytes
	Sent     int64 // bytes
	Requests int64
}

// And returns the use of two runs, one after the other.
func (u Use) And(v Use) Use {
	return Use{Memory: max(u.Memory, v.Memory), Sent: u.Sent + v.Sent, Requests: u.Requests + v.Requests}
}

// Program is one side of a measurement of time.
type Program struct {
	Name    string
	Prepare func()     // before each round, not measured; may be nil
	Run     func() Use // the work
}

// Times runs programs in alternating rounds: libre, the yardstick, then others. It keeps the row
// and reports the ratio of libre to each.
func Times(b *testing.B, row Row, programs ...Program) {
	b.Helper()
	row.Unit, row.Sides = "s", make([]Side, len(programs))
	cpus := make([][]float64, len(programs))
	began := time.Now()
	for round := range mostRounds {
		if round >= Rounds && time.Since(began) > enough {
			break
		}
		for i, p := range programs {
			if p.Prepare != nil {
				p.Prepare()
			}
			side, busy, start := &row.Sides[i], CPUTime(b), time.Now()
			use := p.Run()
			side.Name, side.Values = p.Name, append(side.Values, time.Since(start).Seconds())
			cpus[i] = append(cpus[i], (CPUTime(b) - busy).Seconds())
			side.Memory = max(side.Memory, megabytes(use.Memory))
			side.Sent, side.Requests = megabytes(use.Sent), float64(use.Requests)
		}
	}
	for i := range row.Sides {
		row.Sides[i].CPU = median(cpus[i])
	}
	Keep(b, row)
	if len(cpus) > 1 {
		b.ReportMetric(median(cpus[0])/median(cpus[1]), "x-cpu")
	}
}

// Keep writes a row into the folder for rows, and reports the ratio of libre to each other side.
func Keep(b *testing.B, row Row) {
	b.Helper()
	ours := row.Sides[0]
	for i := range row.Sides {
		row.Sides[i].Ratio = ratio(ours.Values, row.Sides[i].Values)
		if i > 0 {
			b.ReportMetric(row.Sides[i].Ratio.Median, "x-"+slug(row.Sides[i].Name))
		}
	}
	b.ReportMetric(median(ours.Values), row.Unit)
	b.ReportMetric(0, "ns/op")
	folder := os.Getenv(Folder)
	if folder == "" {
		return
	}
	text, err := json.MarshalIndent(row, "", "  ")
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, slug(row.Table+" "+row.Work)+".json"), text, 0o644); err != nil {
		b.Fatal(err)
	}
}

// ratio compares the values of the same rounds.
func ratio(ours, theirs []float64) Spread {
	var all []float64
	for i := range min(len(ours), len(theirs)) {
		all = append(all, ours[i]/theirs[i])
	}
	return SpreadOf(all)
}

// SpreadOf returns the median, least and greatest of some values.
func SpreadOf(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Least: sorted[0], Most: sorted[n-1]}
}

func median(values []float64) float64 { return SpreadOf(values).Median }

func megabytes(n int64) float64 { return float64(n) / 1e6 }

var notWord = lazyregexp.New(`[^a-z0-9.]+`)

// slug makes a name without spaces, for a file or a metric.
func slug(name string) string {
	return strings.Trim(notWord().ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// CPUTime returns the time that this process and its ended children used on all CPUs. Unlike
// elapsed time, it can be compared between an idle machine and a busy one.
func CPUTime(t testing.TB) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return sum
}

// Command runs a program to its end.
func Command(b *testing.B, name string, args ...string) Use {
	b.Helper()
	return Run(b, exec.Command(name, args...))
}

// Run runs a command to its end.
func Run(b *testing.B, cmd *exec.Cmd) Use {
	b.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	memory := peakMemory(cmd.Process.Pid)
	err := cmd.Wait()
	use := Use{Memory: memory()}
	if err != nil {
		b.Fatalf("%v: %v\n%s", cmd, err, out.String())
	}
	return use
}

// peakMemory watches the greatest resident memory of a process, in bytes, until the returned
// function is called. The rusage of a child is no use: it has at least what its parent had.
// https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
func peakMemory(pid int) func() int64 {
	var peak int64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if found := highWater().FindSubmatch(text); found != nil {
				kilobytes, _ := strconv.ParseInt(string(found[1]), 10, 64)
				peak = max(peak, kilobytes<<10)
			}
			select {
			case <-end:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(end); <-ended; return peak }
}

var highWater = lazyregexp.New(`VmHWM:\s+(\d+) kB`)

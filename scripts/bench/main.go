// bench makes bench/results.json and the generated part of docs/performance.md, with its charts,
// from the rows that the benchmarks kept.
//
// usage: bench ROWS
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/bench"
)

// results is bench/results.json.
type results struct {
	Machine machine     `json:"machine"`
	Rows    []bench.Row `json:"rows"`
}

// machine is where the benchmarks ran, and with what.
type machine struct {
	Date     string            `json:"date"` // YYYY-MM-DD
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Memory   string            `json:"memory"`
	Programs map[string]string `json:"programs"` // versions
}

// tables are the headings of the page, in order.
var tables = []string{"Assemble and push", "A Go app", "What is sent", "Nothing to do", "Describe and scan", "Follow upstream", "zstd", "Memory"}

const (
	page  = "docs/performance.md"
	begin = "<!-- figures: written by make bench -->\n"
	end   = "<!-- end of figures -->\n"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: bench ROWS")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	rows, err := readRows(folder)
	if err != nil {
		return err
	}
	all := results{thisMachine(), rows}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	figures, err := all.markdown()
	if err != nil {
		return err
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(old, []byte(begin))
	_, after, found2 := bytes.Cut(rest, []byte(end))
	if !found || !found2 {
		return fmt.Errorf("%s has no place for the figures: it must have the lines %s and %s", page, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	errs := []error{atomicfile.Write("bench/results.json", append(text, '\n'), 0o644)}
	for _, table := range tables {
		if some := all.of(table); len(some) > 0 {
			errs = append(errs, atomicfile.Write(filepath.Join("docs", chartFile(table)), chart(some), 0o644))
		}
	}
	return errors.Join(append(errs, atomicfile.Write(page, slices.Concat(before, []byte(begin), figures, []byte(end), after), 0o644))...)
}

// readRows reads the rows in the order in which they were measured.
func readRows(folder string) ([]bench.Row, error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	type kept struct {
		row  bench.Row
		when time.Time
	}
	var all []kept
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			return nil, err
		}
		var row bench.Row
		if err := json.Unmarshal(text, &row); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		if !slices.Contains(tables, row.Table) {
			return nil, fmt.Errorf("%s: the page has no table %q", file.Name(), row.Table)
		}
		all = append(all, kept{row, info.ModTime()})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no rows", folder)
	}
	slices.SortStableFunc(all, func(a, b kept) int {
		return cmp.Or(slices.Index(tables, a.row.Table)-slices.Index(tables, b.row.Table), a.when.Compare(b.when))
	})
	var rows []bench.Row
	for _, k := range all {
		rows = append(rows, k.row)
	}
	return rows, nil
}

// of returns the rows of a table.
func (r results) of(table string) []bench.Row {
	return slices.DeleteFunc(slices.Clone(r.Rows), func(row bench.Row) bool { return row.Table != table })
}

func thisMachine() machine {
	m := machine{Date: time.Now().UTC().Format(time.DateOnly), CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Memory: field("/proc/meminfo", "MemTotal"), Programs: map[string]string{"go": runtime.Version()}}
	for _, argv := range [][]string{{"nix", "--version"}, {"skopeo", "--version"}, {"buildah", "--version"}, {"docker-registry", "--version"}, {"git", "--version"}, {"python3", "--version"}} {
		out, err := exec.Command(argv[0], argv[1:]...).Output()
		if line, _, _ := strings.Cut(string(out), "\n"); err == nil {
			m.Programs[argv[0]] = line
		}
	}
	return m
}

// field returns the first value of a name in a file of lines "NAME: VALUE".
func field(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

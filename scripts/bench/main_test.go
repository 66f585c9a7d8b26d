package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The figures and charts of docs/performance.md are those of bench/results.json.
func TestPageShowsTheResults(t *testing.T) {
	t.Chdir("../..")
	text, err := os.ReadFile("bench/results.json")
	if err != nil {
		t.Fatal(err)
	}
	var all results
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	figures, err := all.markdown()
	if err != nil {
		t.Fatal(err)
	}
	shown, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(shown, append(append([]byte(begin), figures...), end...)) {
		t.Errorf("%s has other figures: run make bench, or git checkout it", page)
	}
	for _, table := range tables {
		drawn, err := os.ReadFile(filepath.Join("docs", chartFile(table)))
		if err != nil || !bytes.Equal(drawn, chart(all.of(table))) {
			t.Errorf("the chart of %q shows something else, %v", table, err)
		}
	}
}

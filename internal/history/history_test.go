package history

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheNewestRunsAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	if runs, err := Read(dir); err != nil || len(runs) != 0 {
		t.Fatalf("%v, %v", runs, err)
	}
	start := time.Date(2026, 7, 9, 12, 0, 0, 0, time.UTC)
	for n := range kept + 5 {
		run := Run{Started: start.Add(time.Duration(n) * time.Second), Directory: "/coop", Command: []string{"build", fmt.Sprint(n)}, Result: "1 image: 1 failed, 1.0s",
			Failures: []Failure{{Name: "docs/backend/default", Step: "build", Reason: "exit code 7", Log: "/x.log"}}}
		if err := Add(dir, run); err != nil {
			t.Fatal(err)
		}
	}
	// What is no run harms nothing.
	if err := os.WriteFile(filepath.Join(dir, "20260709T130000.000-1.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	runs, err := Read(dir)
	if err != nil || len(runs) != kept {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	newest, oldest := runs[0], runs[len(runs)-1]
	if newest.Command[1] != "104" || oldest.Command[1] != "5" || newest.Failures[0].Log != "/x.log" || !newest.Started.Equal(start.Add(104*time.Second)) {
		t.Errorf("%+v … %+v", newest, oldest)
	}
}

func TestTimesAreTheNewestOfEachImageOfTheCatalogue(t *testing.T) {
	runs := []Run{ // the newest first
		{Directory: "/coop", Seconds: 1e308, Took: map[string]Took{"docs": {Build: 1e308, Publish: 1e308}, "meet": {Build: -5}}}, // no run took that
		{Directory: "/other", Seconds: 1, Took: map[string]Took{"docs": {Build: 99}}},
		{Directory: "/coop", Seconds: 1},
		{Directory: "/coop", Seconds: 6, Took: map[string]Took{"docs": {Publish: 2}, "meet": {Build: 8, Publish: 2}}},
		{Directory: "/coop", Seconds: 90, Took: map[string]Took{"docs": {Build: 20, Publish: 3}, "meet": {Build: 50}}},
	}
	times, pace := Times(runs, "/coop")
	if len(times) != 2 || times["docs"] != (Took{Build: 20, Publish: 2}) || times["meet"] != (Took{Build: 8, Publish: 2}) {
		t.Errorf("%v", times)
	}
	if pace != 0.5 {
		t.Errorf("a pace of %v", pace)
	}
}

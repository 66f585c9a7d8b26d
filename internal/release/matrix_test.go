package release

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMatrixIsBalancedByFormerTimes(t *testing.T) {
	work := []Work{
		{"docs/*/default", "docs", []Estimate{{Seconds: 300}, {Seconds: 60}}}, {"docs/*/lyon", "docs", []Estimate{{Seconds: 40}}},
		{"meet/*/default", "meet", []Estimate{{Seconds: 200}}}, {"drive/*/default", "drive", []Estimate{{Seconds: 190}}},
		{"new/*/default", "new", []Estimate{{}}}, // counts as the mean, 158
	}
	got := Matrix(work, 3)
	want := []Job{
		{"1 of 3", "docs/*/default docs/*/lyon", 3, 400},
		{"2 of 3", "drive/*/default new/*/default", 2, 190},
		{"3 of 3", "meet/*/default", 1, 200},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A machine that remembers no run divides by the sizes of what is published.
func TestMatrixIsBalancedBySizes(t *testing.T) {
	work := []Work{
		{"small/*/default", "small", []Estimate{{Bytes: 20}, {Bytes: 10}}}, {"large/*/default", "large", []Estimate{{Bytes: 100}}},
		{"new/*/default", "new", []Estimate{{}}}, // counts as the mean, 45
		{"other/*/default", "other", []Estimate{{Bytes: 50}}},
	}
	want := []Job{{"1 of 2", "new/*/default other/*/default small/*/default", 4, 0}, {"2 of 2", "large/*/default", 1, 0}}
	if diff := cmp.Diff(want, Matrix(work, 2)); diff != "" {
		t.Error(diff)
	}
	// Of two images with the mean time, 60 seconds, one is twice as large as the other.
	work = []Work{
		{"timed/*/default", "timed", []Estimate{{Seconds: 60}}}, {"large/*/default", "large", []Estimate{{Bytes: 200}}}, {"small/*/default", "small", []Estimate{{Bytes: 100}}},
	}
	want = []Job{{"1 of 2", "small/*/default timed/*/default", 2, 60}, {"2 of 2", "large/*/default", 1, 0}}
	if diff := cmp.Diff(want, Matrix(work, 2)); diff != "" {
		t.Error(diff)
	}
}

// Each release is in one job, groups stay together, and there are no more jobs than asked for.
func TestMatrixLosesNothing(t *testing.T) {
	var work []Work
	for n := range 700 {
		work = append(work, Work{Selection: fmt.Sprintf("app%d/*/default", n), Group: fmt.Sprintf("group%d", n/2), Images: make([]Estimate, 1+n%3)})
	}
	for _, most := range []int{1, 8, MostJobs} {
		jobs := Matrix(work, most)
		if len(jobs) != min(most, 350) {
			t.Errorf("%d jobs, want %d", len(jobs), most)
		}
		in, images := map[string]int{}, 0
		for n, job := range jobs {
			images += job.Images
			for _, selection := range strings.Fields(job.Selection) {
				in[selection] = n + 1
			}
		}
		for n, w := range work {
			if in[w.Selection] == 0 || in[w.Selection] != in[work[n^1].Selection] {
				t.Errorf("%s is in job %d, its group in job %d", w.Selection, in[w.Selection], in[work[n^1].Selection])
			}
		}
		if images != 1399 {
			t.Errorf("%d images", images)
		}
	}
	if jobs := Matrix(nil, 8); jobs == nil || len(jobs) != 0 {
		t.Errorf("without work: %v", jobs)
	}
}

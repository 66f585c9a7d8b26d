package bench

import "testing"

// Ratios are of the same rounds, and an even number of values has the mean of the middle two as
// its median.
func TestRatioIsOfTheSameRounds(t *testing.T) {
	if got := ratio([]float64{1, 4, 9}, []float64{1, 2, 3}); got != (Spread{Median: 2, Least: 1, Most: 3}) {
		t.Errorf("%+v", got)
	}
	if got := SpreadOf([]float64{4, 1, 3, 2}); got != (Spread{Median: 2.5, Least: 1, Most: 4}) {
		t.Errorf("%+v", got)
	}
}

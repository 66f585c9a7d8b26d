package instance

import "testing"

func TestQuantitiesAsBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"10Mi": 10 << 20, "1": 1, "1k": 1000, "1.5Gi": 3 << 29, "1500m": 2, "0.001k": 1, "2T": 2e12, "1.000001Ki": 1025,
	} {
		if got, err := Bytes(text); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
}

package vex

import "testing"

// FuzzReadOpenVEX reads an attested document, and asks it about an image.
func FuzzReadOpenVEX(f *testing.F) {
	f.Fuzz(func(t *testing.T, predicate []byte) {
		attested, err := ReadOpenVEX(predicate)
		if err != nil {
			return
		}
		attested.Answers("docs-backend-default", "sha256:97")
		if attested.Timestamp() == nil {
			t.Errorf("no time: %s", predicate)
		}
	})
}

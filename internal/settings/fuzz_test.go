package settings

import (
	"strings"
	"testing"
)

// FuzzParse reads a stranger's libre.yaml. An error has one line.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		s := &Settings{}
		if err := s.parse(text, t.TempDir()); err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q", err.Error())
		}
	})
}

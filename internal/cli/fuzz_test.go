package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzValues reads the file of --values: an error is one line.
func FuzzValues(f *testing.F) {
	path := filepath.Join(f.TempDir(), "values.yaml")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readValues(path); err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q", err.Error())
		}
	})
}

package nix

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzEvaluation decodes what a nix prints. An error must be one line.
func FuzzEvaluation(f *testing.F) {
	f.Fuzz(func(t *testing.T, printed []byte) {
		var result raw
		if err := decode("evaluating", printed, &result); err != nil {
			if message := err.Error(); strings.ContainsAny(message, "\n\x1b") || len(message) > 1000 {
				t.Errorf("%q", message)
			}
			return
		}
		for _, app := range result.Apps {
			inCatalogue(app)
		}
	})
}

// FuzzLock reads a stranger's flake.lock, and writes it without an input.
func FuzzLock(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = eachLocked(text, func(name, node string, locked lockedRef) bool {
			_ = checkLocked("/catalogue", string(text), name, node, locked)
			return true
		})
		_, _ = ReadLock(text)
		if left, err := removeInputs(text, []Override{{"nixpkgs", ""}}); err == nil && !json.Valid(bytes.TrimSpace(left)) {
			t.Errorf("no JSON: %q", left)
		}
	})
}

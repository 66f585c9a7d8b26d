package nix

import (
	"os"
	"path/filepath"
	"testing"
)

// Cached evaluations and logs are readable by their user only, even if the folder existed with
// another mode. A log is not written through a link.
func TestLogsAndEvaluationsArePrivate(t *testing.T) {
	r := remember(t)
	n := r.nix
	dir := t.TempDir()
	n.OutcomeDir, n.LogDir = filepath.Join(dir, "evaluations"), filepath.Join(dir, "logs")
	canary := filepath.Join(dir, "canary")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(canary, []byte("canary"), 0o600))
	for _, folder := range []string{n.OutcomeDir, n.LogDir} {
		must(os.Mkdir(folder, 0o755))
	}
	must(os.Symlink(canary, filepath.Join(n.LogDir, "evaluate.log")))

	if n.keepLog("evaluate", "secret") == "" {
		t.Error("no log is kept")
	}
	r.evaluate(t)
	for _, folder := range []string{n.OutcomeDir, n.LogDir} {
		entries, err := os.ReadDir(folder)
		must(err)
		info, err := os.Stat(folder)
		must(err)
		if info.Mode().Perm() != 0o700 || len(entries) == 0 {
			t.Errorf("%s: %v, %v", folder, info.Mode(), entries)
		}
		for _, entry := range entries {
			if info, err := entry.Info(); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v, %v", entry.Name(), info.Mode(), err)
			}
		}
	}
	if text, err := os.ReadFile(canary); err != nil || string(text) != "canary" {
		t.Errorf("%q, %v", text, err)
	}
}

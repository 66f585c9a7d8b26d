package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/ui"
)

func TestProfilesAreWrittenAndNotInHelp(t *testing.T) {
	dir := t.TempDir()
	cpu, trace := filepath.Join(dir, "cpu"), filepath.Join(dir, "trace")
	var out strings.Builder
	options := ui.Options{Stdout: &out, Stderr: &out}
	if code := Main(t.Context(), []string{"version", "--cpuprofile", cpu, "--trace", trace}, options); code != 0 {
		t.Fatal(out.String())
	}
	for file, begins := range map[string]string{cpu: "\x1f\x8b", trace: "go 1."} { // gzip; a version of Go
		if content, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(content), begins) {
			t.Errorf("%s begins with %.8q, %v", file, content, err)
		}
	}
	if code := Main(t.Context(), []string{"version", "--trace", filepath.Join(dir, "no", "trace")}, options); code != 1 || !strings.Contains(out.String(), "no such file") {
		t.Errorf("%d: %s", code, &out)
	}
	out.Reset()
	if Main(t.Context(), []string{"list", "--help"}, options); strings.Contains(out.String(), "cpuprofile") {
		t.Errorf("help:\n%s", &out)
	}
}

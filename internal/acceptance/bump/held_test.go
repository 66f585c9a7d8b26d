package bump

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/upstream/forgetest"
)

// Higher versions that are not taken are printed wherever versions are. "up to date" is
// printed only if there are none.
func TestVersionsHeldBackAreNamed(t *testing.T) {
	c, repo := suite(t, forgetest.GitHub(t))
	c.write(t, definition, strings.Replace(c.read(t, definition), "  patches =", "  update.range = \"minor\";\n  patches =", 1))
	c.commit(t, "A rule")
	said := func(code int, mode ...string) string {
		t.Helper()
		return c.run(t, code, append([]string{"bump", "notes"}, mode...)...).stdout
	}
	if got := said(0, "--check"); got != "notes\t1.0.0-3\t1.0.0-3\tup to date\n" {
		t.Errorf("nothing is higher: %s", got)
	}
	repo.Tag("2.0.0-final", repo.Commit(upstreamFiles("2.0.0-final")))
	if got := said(0, "--check"); got != "notes\t1.0.0-3\t1.0.0-3\theld: 2.0.0-final has another shape than v1.0.0: set update.tags\n" {
		t.Errorf("a tag of another shape: %s", got)
	}
	release(repo, "3.0.0", "better")
	const held = "3.0.0 outside of update.range minor"
	for _, mode := range [][]string{nil, {"--check"}, {"--dry-run"}} {
		want := "notes\t1.0.0-3\t1.0.0-3\theld: " + held + "\n"
		if mode != nil && mode[0] == "--dry-run" {
			want = ""
		}
		if got := said(0, mode...); got != want {
			t.Errorf("%v: %s", mode, got)
		}
	}
	if got := c.run(t, 0, "bump", "notes", "--dry-run"); !strings.Contains(got.stderr, "notes 1.0.0-3: held: "+held+"\n") {
		t.Errorf("nothing says why there is no diff: %s", got.stderr)
	}
	var results []struct {
		Outcome  string
		Decision struct{ Kind, HeldBack string }
	}
	if err := json.Unmarshal([]byte(said(0, "--check", "--json")), &results); err != nil || len(results) != 1 ||
		results[0].Outcome != "held: "+held || results[0].Decision.Kind != "held" || results[0].Decision.HeldBack != held {
		t.Errorf("JSON: %+v, %v", results, err)
	}
	release(repo, "1.1.0", "good")
	if got := c.run(t, 10, "bump", "notes", "--check"); got.stdout != "notes\t1.0.0-3\t1.1.0-1\toutdated\n" || !strings.Contains(got.stderr, "notes: held: "+held+"\n") {
		t.Errorf("beside one that may be taken: %s%s", got.stdout, got.stderr)
	}
}

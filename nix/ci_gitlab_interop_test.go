//go:build interop

package nixcode_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
	nixcode "github.com/libresh/libre/nix"
)

// GitLab's JSON Schema accepts the jobs, and the rules choose those of each kind of pipeline.
func TestInteropGitLabCIChoosesTheJobs(t *testing.T) {
	publish := []string{"libre build", "libre publish", "pages"}
	for pipeline, want := range map[string][]string{
		"push": publish, "web": publish, "merge_request_event": {"libre check"}, "schedule": {},
		"schedule bump": {"libre bump"}, "schedule inputs": {"libre inputs"}, "schedule scan": {"libre scan"}, "schedule pages": {"pages"}, "web bump": {"libre bump"},
	} {
		if jobs := chosenJobs(t, catalogueWithCI(t, 1), pipeline); !slices.Equal(jobs, want) {
			t.Errorf("%s: %q, expected %q", pipeline, jobs, want)
		}
	}
	if jobs, want := chosenJobs(t, catalogueWithCI(t, 8), "push"), slices.Insert(publish, 1, "libre plan"); !slices.Equal(jobs, want) {
		t.Errorf("for 8 machines: %q, expected %q", jobs, want)
	}
}

// catalogueWithCI returns a folder with the files for a number of machines.
func catalogueWithCI(t *testing.T, machines int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range nixcode.Workflows("gitlab", machines) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"}, {"remote", "add", "origin", "git@gitlab.com:coop/catalogue.git"},
		{"add", "--all"}, {"-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--message=x"},
		{"update-ref", "refs/remotes/origin/main", "HEAD"}, {"symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"},
	} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return dir
}

// chosenJobs returns the names of the jobs of a pipeline: its source, and the variable SCHEDULE.
// Jobs that run in parallel have one name.
func chosenJobs(t *testing.T, dir, pipeline string) []string {
	t.Helper()
	source, schedule, scheduled := strings.Cut(pipeline, " ")
	args := []string{"--list-csv", "--ignore-predefined-vars", "CI_PIPELINE_SOURCE", "--variable", "CI_PIPELINE_SOURCE=" + source}
	if scheduled {
		args = append(args, "--variable", "SCHEDULE="+schedule)
	}
	command := testkit.GitLabCI(t, args...)
	command.Dir = dir
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", pipeline, err, out)
	}
	jobs := []string{}
	for line := range strings.Lines(string(out)) {
		if name, rest, _ := strings.Cut(line, ";"); strings.Contains(rest, ";on_success;") || strings.Contains(rest, ";always;") {
			name, _, _ = strings.Cut(name, ": [")
			jobs = append(jobs, name)
		}
	}
	slices.Sort(jobs)
	return slices.Compact(jobs)
}

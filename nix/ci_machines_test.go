package nixcode

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// matrix is what libre plan --matrix prints.
const matrix = `{"include":[{"name":"1 of 2","selection":"docs/*/default docs/*/lyon","images":3},{"name":"2 of 2","selection":"meet/*/default","images":1}]}`

// machineScript is a script of a job that runs on several machines.
type machineScript struct {
	text string
	env  func(machine int) []string
}

// machineScripts returns the scripts that build and publish, by forge.
func machineScripts(t *testing.T) map[string][2]machineScript {
	t.Helper()
	selections := []string{"docs/*/default docs/*/lyon", "meet/*/default"}
	index := func(machine int) string { return string(rune('0' + machine)) }
	env := map[string]func(int) []string{
		"github":  func(machine int) []string { return []string{"SELECTION=" + selections[machine-1]} },
		"forgejo": func(machine int) []string { return []string{"MATRIX=" + matrix, "JOB=" + index(machine)} },
		"gitlab":  func(machine int) []string { return []string{"CI_NODE_INDEX=" + index(machine)} },
	}
	scripts := map[string][2]machineScript{}
	for _, forge := range forges {
		var w workflow
		if err := yaml.Unmarshal(Workflows(forge, 8)["."+forge+"/workflows/libre-publish.yml"], &w); err != nil {
			t.Fatal(err)
		}
		var build, unpack, publish string
		for _, step := range append(w.Jobs["build"].Steps, w.Jobs["publish"].Steps...) {
			switch step.Name {
			case "Build what is not published":
				build = step.Run
			case "Unpack the images":
				unpack = step.Run
			case "Publish":
				publish = step.Run
			}
		}
		scripts[forge] = [2]machineScript{{build, env[forge]}, {unpack + "\n" + publish, env[forge]}}
	}
	jobs := gitlabJobs(t, 8)
	scripts["gitlab"] = [2]machineScript{{jobs["libre build"].script(), env["gitlab"]}, {jobs["libre publish"].script(), env["gitlab"]}}
	return scripts
}

// Each machine builds and publishes its part of what needs work. A machine without a part does
// nothing.
func TestEachMachinePublishesItsPart(t *testing.T) {
	for forge, scripts := range machineScripts(t) {
		dir := t.TempDir()
		libre := `#!/bin/bash
echo "$@" >>"$RUNNER_TEMP/said"
case $1 in plan) printf '%s\tbuild\tnew\tk\n' "${2%%/*}/web/default"; printf 'other/web/default\tpush\tnew\tk\n';; esac
`
		for name, content := range map[string]string{"libre": libre, "matrix.json": matrix + "\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for machine, want := range map[int]string{
			1: "plan docs/*/default docs/*/lyon\nbuild --system all --summary summary.md docs/web/default\npush docs/*/default docs/*/lyon --summary summary.md\n",
			2: "plan meet/*/default\nbuild --system all --summary summary.md meet/web/default\npush meet/*/default --summary summary.md\n",
			3: "",
		} {
			if machine == 3 && forge == "github" {
				continue // it starts two jobs
			}
			said := filepath.Join(dir, "said")
			_ = os.Remove(said)
			for _, script := range scripts {
				cmd := shell(script.text)
				cmd.Dir = dir
				cmd.Env = append(append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "RUNNER_TEMP="+dir, "GITHUB_STEP_SUMMARY=summary.md"), script.env(machine)...)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s, machine %d: %v\n%s", forge, machine, err, out)
				}
			}
			got, _ := os.ReadFile(said)
			if string(got) != want {
				t.Errorf("%s, machine %d:\n%swant\n%s", forge, machine, got, want)
			}
		}
	}
}

// Where a machine could not build, only its part is not published. GitLab starts a job after one that
// failed if its rule says so, and then the job finds no archive.
func TestOtherMachinesPublishIfOneFails(t *testing.T) {
	job := gitlabJobs(t, 8)["libre publish"]
	if len(job.Rules) != 1 || job.Rules[0]["when"] != "always" {
		t.Errorf("rules %v", job.Rules)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"libre": "#!/bin/sh\necho \"$@\"\n", "matrix.json": matrix} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := shell(job.script())
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CI_NODE_INDEX=1")
	if out, err := cmd.Output(); err == nil || len(out) > 0 {
		t.Errorf("without an archive: %v\n%s", err, out)
	}
	for _, forge := range forges {
		var w workflow
		if err := yaml.Unmarshal(Workflows(forge, 8)["."+forge+"/workflows/libre-publish.yml"], &w); err != nil {
			t.Fatal(err)
		}
		if condition := w.Jobs["publish"].If; !strings.Contains(condition, "!cancelled()") {
			t.Errorf("%s publishes if %s", forge, condition)
		}
	}
}

// The number of machines is in all places, and no placeholder is left.
func TestWorkflowsNameTheNumberOfMachines(t *testing.T) {
	for _, forge := range Forges {
		all := ""
		for _, content := range Workflows(forge, 12) {
			all += string(content)
		}
		want := map[string][]string{
			"github": {"at most 12 machines", "--matrix=12)"}, "forgejo": {"--matrix=12)", "job: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]", "publish ${{ matrix.job }} of 12"},
			"gitlab": {"--matrix=12 >", "parallel: 12\n"},
		}[forge]
		for _, text := range append(want, "libre push") {
			if !strings.Contains(all, text) {
				t.Errorf("%s has no %q", forge, text)
			}
		}
		if strings.Contains(all, "MACHINES") || strings.Contains(all, "NUMBERS") {
			t.Errorf("%s has a placeholder", forge)
		}
	}
}

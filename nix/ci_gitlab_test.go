package nixcode

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// gitlabJob is what the tests below look at.
type gitlabJob struct {
	Extends       string                   `yaml:"extends"`
	Image         string                   `yaml:"image"`
	Timeout       string                   `yaml:"timeout"`
	Rules         []map[string]string      `yaml:"rules"`
	ResourceGroup string                   `yaml:"resource_group"`
	Environment   map[string]string        `yaml:"environment"`
	Variables     map[string]string        `yaml:"variables"`
	IDTokens      map[string]any           `yaml:"id_tokens"`
	Needs         []any                    `yaml:"needs"`
	Parallel      int                      `yaml:"parallel"`
	BeforeScript  []string                 `yaml:"before_script"`
	Script        []string                 `yaml:"script"`
	Artifacts     struct{ Paths []string } `yaml:"artifacts"`
}

func (j gitlabJob) before() string { return strings.Join(j.BeforeScript, "\n") + "\n" }
func (j gitlabJob) script() string { return strings.Join(j.Script, "\n") + "\n" }

// gitlabJobs reads the jobs, each with what it extends.
func gitlabJobs(t *testing.T, machines int) map[string]gitlabJob {
	t.Helper()
	var written map[string]yaml.Node
	if err := yaml.Unmarshal(Workflows("gitlab", machines)[".gitlab/libre.yml"], &written); err != nil {
		t.Fatal(err)
	}
	jobs := map[string]gitlabJob{}
	for name, node := range written {
		if strings.HasPrefix(name, ".") {
			continue
		}
		var job gitlabJob
		chain := []yaml.Node{node}
		for {
			var one gitlabJob
			if err := chain[0].Decode(&one); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if one.Extends == "" {
				break
			}
			chain = append([]yaml.Node{written[one.Extends]}, chain...)
		}
		for _, one := range chain {
			job.Artifacts.Paths = nil
			if err := one.Decode(&job); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		jobs[name] = job
	}
	return jobs
}

func TestGitLabIncludesTheJobs(t *testing.T) {
	files := Workflows("gitlab", 1)
	if len(files) != 3 || string(files[".gitlab-ci.yml"]) != "include:\n  - local: .gitlab/libre.yml\n" || files[".gitlab/libre-setup.sh"] == nil {
		t.Errorf("%d files", len(files))
	}
	want := []string{"libre build", "libre bump", "libre check", "libre inputs", "libre publish", "libre scan", "pages"}
	if names := slices.Sorted(maps.Keys(gitlabJobs(t, 1))); !slices.Equal(names, want) {
		t.Errorf("jobs %q, expected %q", names, want)
	}
	if names := slices.Sorted(maps.Keys(gitlabJobs(t, 8))); !slices.Equal(names, slices.Insert(want, 4, "libre plan")) {
		t.Errorf("for several machines: jobs %q", names)
	}
}

// A merge request's pipeline has what anybody wrote: it may use no secret and no identity.
// Everything else runs on the default branch.
func TestGitLabKeepsSecretsFromMergeRequests(t *testing.T) {
	for _, machines := range machines {
		keepsSecrets(t, gitlabJobs(t, machines))
	}
}

func keepsSecrets(t *testing.T, jobs map[string]gitlabJob) {
	t.Helper()
	for name, job := range jobs {
		if job.Timeout == "" || (job.ResourceGroup == "") != (job.Parallel > 1) || job.Image == "" || len(job.Rules) == 0 {
			t.Errorf("%s: timeout %q, resource group %q, image %q, %d rules", name, job.Timeout, job.ResourceGroup, job.Image, len(job.Rules))
		}
		for _, rule := range job.Rules {
			if name == "libre check" {
				if rule["if"] != `$CI_PIPELINE_SOURCE == "merge_request_event"` {
					t.Errorf("%s: %s", name, rule["if"])
				}
			} else if !strings.Contains(rule["if"], "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH") || strings.Contains(rule["if"], "merge_request") {
				t.Errorf("%s: %s", name, rule["if"])
			}
		}
		wantEnvironment := map[string]string{"libre publish": "libre-publish", "libre bump": "libre-token", "libre inputs": "libre-token", "libre scan": "libre-token"}[name]
		if job.Environment["name"] != wantEnvironment || (wantEnvironment != "" && job.Environment["action"] != "access") {
			t.Errorf("%s has the secrets of %v, expected %q", name, job.Environment, wantEnvironment)
		}
		if (job.IDTokens != nil) != (name == "libre publish") {
			t.Errorf("%s: identity %v", name, job.IDTokens)
		}
	}
}

// What upstreams wrote runs in a job that cannot sign; the job that can builds no Containerfile.
func TestGitLabPublishBuildsWithoutIdentity(t *testing.T) {
	for number, want := range map[int]struct{ needs, dist string }{1: {"[libre build]", "dist.tar"}, 8: {"[libre plan libre build]", "dist-*.tar"}} {
		jobs := gitlabJobs(t, number)
		build, publish := jobs["libre build"], jobs["libre publish"]
		if strings.Contains(build.script(), "libre push") || strings.Contains(publish.script(), "libre build") {
			t.Error("build pushes, or publish builds")
		}
		if publish.Variables["LIBRE_ENGINE"] != "none" || fmt.Sprint(publish.Needs) != want.needs || !slices.Contains(build.Artifacts.Paths, want.dist) {
			t.Errorf("publish %+v, artifacts %q", publish, build.Artifacts.Paths)
		}
	}
}

func TestGitLabBuildsWhatChanged(t *testing.T) {
	for _, name := range []string{"libre check", "libre build"} {
		job := gitlabJobs(t, 1)[name]
		if job.Script[0] != "libre check --summary summary.md" {
			t.Errorf("%s begins with %s", name, job.Script[0])
		}
		checkBuildScript(t, job.Script[1], "summary.md")
	}
}

// The runner's clone logs in with the job's token, which may not push. The token that may is in
// no argument and no file.
func TestGitLabBumpsInAnOwnClone(t *testing.T) {
	for name, want := range map[string]string{"libre bump": "bump --all --pr", "libre inputs": "bump --inputs --pr"} {
		dir := t.TempDir()
		project := filepath.Join(dir, "project")
		for _, args := range [][]string{
			{"init", "--quiet", "--bare", "--initial-branch=main", project + ".git"}, {"clone", "--quiet", project + ".git", filepath.Join(dir, "work")},
			{"-C", filepath.Join(dir, "work"), "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--allow-empty", "--message=x"},
			{"-C", filepath.Join(dir, "work"), "push", "--quiet", "origin", "HEAD:main"},
		} {
			if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
				t.Fatalf("git %v: %v\n%s", args, err, out)
			}
		}
		libre := "#!/bin/sh\necho \"$@\"\ngit remote get-url --push origin\ngit config user.name\ncat .git/config\n"
		if err := os.WriteFile(filepath.Join(dir, "libre"), []byte(libre), 0o755); err != nil {
			t.Fatal(err)
		}
		job := gitlabJobs(t, 1)[name]
		cmd := shell(job.script())
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "RUNNER_TEMP="+dir, "CI_PROJECT_DIR="+dir, "CI_PROJECT_URL="+project,
			"GITLAB_TOKEN=s3cret", "WHAT="+job.Variables["WHAT"])
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want+" --summary "+dir+"/summary.md\n"+project+".git\nlibre\n") || strings.Contains(string(out), "s3cret") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

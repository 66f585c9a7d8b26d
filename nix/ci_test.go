package nixcode

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"gopkg.in/yaml.v3"
)

// forges are those with Actions.
var forges = []string{"github", "forgejo"}

// workflow is what the tests below look at.
type workflow struct {
	Permissions map[string]string `yaml:"permissions"`
	Concurrency struct {
		Group string `yaml:"group"`
	} `yaml:"concurrency"`
	Jobs map[string]struct {
		Permissions map[string]string `yaml:"permissions"`
		OpenID      bool              `yaml:"enable-openid-connect"`
		Needs       any               `yaml:"needs"`
		If          string            `yaml:"if"`
		Env         map[string]string `yaml:"env"`
		Timeout     int               `yaml:"timeout-minutes"`
		Steps       []step            `yaml:"steps"`
	} `yaml:"jobs"`
}

type step struct {
	Name string            `yaml:"name"`
	Uses string            `yaml:"uses"`
	Run  string            `yaml:"run"`
	Env  map[string]string `yaml:"env"`
}

// machines are numbers of machines that publish.
var machines = []int{1, 8}

// each calls f for each workflow of each forge.
func each(t *testing.T, f func(t *testing.T, forge, name string, w workflow)) {
	for _, forge := range forges {
		for _, number := range machines {
			files := Workflows(forge, number)
			if len(files) != 7 {
				t.Errorf("%s: %d files, expected 6 workflows and a script", forge, len(files))
			}
			for name, content := range files {
				if !strings.HasSuffix(name, ".yml") {
					continue
				}
				t.Run(fmt.Sprintf("%s for %d", name, number), func(t *testing.T) {
					var w workflow
					if err := yaml.Unmarshal(content, &w); err != nil {
						t.Fatal(err)
					}
					f(t, forge, name, w)
				})
			}
		}
	}
}

func TestWorkflowsOfAnUnknownForge(t *testing.T) {
	for _, forge := range []string{"", "gitea", "*", ".", "..", "github/"} {
		if got := Workflows(forge, 1); got != nil {
			t.Errorf("%q has %d files", forge, len(got))
		}
	}
}

func TestActionlint(t *testing.T) {
	commit := regexp.MustCompile(`@[0-9a-f]{40} # (v[0-9]+)\.[0-9.]+\n`)
	for n := range len(forges) * len(machines) {
		forge, dir := forges[n/len(machines)], t.TempDir()
		files := writeAll(t, dir, forge, machines[n%len(machines)])
		options := actionlint.LinterOptions{WorkingDir: dir}
		if shellcheck, err := exec.LookPath("shellcheck"); err == nil {
			options.Shellcheck = shellcheck
		}
		if forge == "forgejo" {
			options.IgnorePatterns = []string{`^unexpected key "enable-openid-connect" for "job" section`, `^label "docker" is unknown`,
				`^the runner of "actions/(upload|download)-artifact@v3" action is too old`} // Forgejo runs these, and not the newer ones
		}
		lint := func(edit func([]byte) []byte) {
			var out bytes.Buffer
			linter, err := actionlint.NewLinter(&out, &options)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				content, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				// It knows no addresses of actions, which Forgejo wants.
				content = edit(bytes.ReplaceAll(content, []byte("https://data.forgejo.org/"), nil))
				if found, err := linter.Lint(file, content, nil); err != nil || len(found) > 0 {
					t.Errorf("%s: %v\n%s", forge, err, out.String())
				}
			}
		}
		lint(func(content []byte) []byte { return content })
		// It knows an action's inputs by its tag.
		lint(func(content []byte) []byte { return commit.ReplaceAll(content, []byte("@$1\n")) })
	}
}

// writeAll writes a forge's files and gives the paths of the workflows.
func writeAll(t *testing.T, dir, forge string, machines int) (workflows []string) {
	t.Helper()
	for name, content := range Workflows(forge, machines) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".yml") {
			workflows = append(workflows, path)
		}
	}
	return workflows
}

var pinned = regexp.MustCompile(`^(https://data\.forgejo\.org/)?actions/(checkout|upload-artifact|download-artifact|upload-pages-artifact|deploy-pages)@[0-9a-f]{40}$`)

// A few actions, by their commits: a tag can be moved to other code.
func TestActionsArePinned(t *testing.T) {
	uses := map[string]bool{}
	each(t, func(t *testing.T, forge, name string, w workflow) {
		for _, job := range w.Jobs {
			for _, step := range job.Steps {
				if step.Uses == "" {
					continue
				}
				uses[step.Uses] = true
				if m := pinned.FindStringSubmatch(step.Uses); m == nil || (m[1] != "") != (forge == "forgejo") {
					t.Errorf("uses %s", step.Uses)
				}
			}
		}
	})
	if len(uses) != 3*len(forges)+2 {
		t.Errorf("%d actions, expected three for each forge, and two for GitHub's Pages: %v", len(uses), uses)
	}
}

// What somebody else wrote must not become part of a script: expressions are put
// in before a shell reads it, variables are not.
func TestScriptsHaveNoExpressions(t *testing.T) {
	each(t, func(t *testing.T, forge, name string, w workflow) {
		scripts := 0
		for _, job := range w.Jobs {
			for _, step := range job.Steps {
				if step.Run != "" {
					scripts++
				}
				if strings.Contains(step.Run, "${{") {
					t.Errorf("%s: run has an expression: %s", step.Name, step.Run)
				}
			}
		}
		if scripts < 2 {
			t.Errorf("%d scripts", scripts)
		}
	})
}

// Where permissions count, a workflow has none but what its job needs.
func TestPermissions(t *testing.T) {
	want := map[string]map[string]string{
		"libre-bump.yml":    {"contents": "write", "pull-requests": "write"},
		"libre-inputs.yml":  {"contents": "write", "pull-requests": "write"},
		"libre-check.yml":   {"contents": "read", "packages": "read"},
		"libre-scan.yml":    {"contents": "read", "issues": "write", "packages": "read"},
		"libre-site.yml":    {"pages": "write", "id-token": "write"},
		"libre-publish.yml": {"contents": "read", "packages": "write", "id-token": "write"},
	}
	each(t, func(t *testing.T, forge, name string, w workflow) {
		if w.Concurrency.Group == "" {
			t.Error("no concurrency group")
		}
		if forge != "github" { // Forgejo knows neither permissions nor timeouts
			return
		}
		if w.Permissions == nil || len(w.Permissions) > 0 {
			t.Errorf("permissions of the workflow: %v, expected none", w.Permissions)
		}
		for jobName, job := range w.Jobs {
			want := want[filepath.Base(name)]
			if jobName == "plan" || jobName == "build" {
				want = map[string]string{"contents": "read", "packages": "read"}
			}
			if !maps.Equal(job.Permissions, want) {
				t.Errorf("permissions %v, expected %v", job.Permissions, want)
			}
			if job.Timeout == 0 {
				t.Error("no timeout-minutes")
			}
		}
	})
}

// What upstreams wrote runs in a job that can neither sign nor write to the registry;
// the job that can builds no Containerfile.
func TestPublishBuildsWithoutIdentity(t *testing.T) {
	each(t, func(t *testing.T, forge, name string, w workflow) {
		if !strings.HasSuffix(name, "libre-publish.yml") {
			return
		}
		build, publish := w.Jobs["build"], w.Jobs["publish"]
		wantNeeds, first := "build", build
		if plan, many := w.Jobs["plan"]; many {
			wantNeeds, first = "[plan build]", plan
			if build.Needs != "plan" || !strings.Contains(publish.If, "needs.plan.result == 'success'") {
				t.Errorf("build needs %v, publish runs if %s", build.Needs, publish.If)
			}
		}
		if first.If != "github.ref == 'refs/heads/main'" {
			t.Errorf("the first job runs if %s", first.If)
		}
		for permission, access := range build.Permissions {
			if access != "read" {
				t.Errorf("the job that builds may %s %s", access, permission)
			}
		}
		if build.OpenID {
			t.Error("the job that builds has an identity")
		}
		for _, step := range build.Steps {
			for variable, value := range step.Env {
				if strings.HasPrefix(variable, "COSIGN_") || strings.Contains(value, "secrets.") && !strings.Contains(value, "_READER") {
					t.Errorf("%s has %s: %s", step.Name, variable, value)
				}
			}
			if strings.Contains(step.Run, "libre push") {
				t.Errorf("%s pushes", step.Name)
			}
		}
		if fmt.Sprint(publish.Needs) != wantNeeds || publish.Env["LIBRE_ENGINE"] != "none" {
			t.Errorf("the job that publishes needs %v, its engine is %q", publish.Needs, publish.Env["LIBRE_ENGINE"])
		}
		for _, step := range publish.Steps {
			if strings.Contains(step.Run, "libre build") {
				t.Errorf("%s builds", step.Name)
			}
		}
	})
}

// The branch pages gets the page and nothing else, however often.
func TestSiteIsPushedAsOneCommit(t *testing.T) {
	var w workflow
	if err := yaml.Unmarshal(Workflows("forgejo", 1)[".forgejo/workflows/libre-site.yml"], &w); err != nil {
		t.Fatal(err)
	}
	steps := w.Jobs["site"].Steps
	script := steps[len(steps)-1].Run
	dir := t.TempDir()
	run := func(at, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = filepath.Join(dir, at)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run("", "git", "init", "--quiet", "--bare", "forge")
	run("", "git", "clone", "--quiet", "forge", "catalogue")
	for _, page := range []string{"one", "two"} {
		run("", "bash", "-c", "rm -rf catalogue/public; mkdir -p catalogue/public/fr; echo "+page+" | tee catalogue/public/index.html catalogue/public/fr/index.html catalogue/public/.libre-site")
		run("catalogue", "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
		if files := run("forge", "git", "ls-tree", "-r", "--name-only", "pages"); files != "fr/index.html\nindex.html\n" {
			t.Errorf("the branch has %q", files)
		}
		if got := run("forge", "git", "show", "pages:index.html"); got != page+"\n" {
			t.Errorf("the page is %q", got)
		}
		if commits := run("forge", "git", "rev-list", "--count", "pages"); commits != "1\n" {
			t.Errorf("%s commits", commits)
		}
	}
}

// The libre of a run is the one that flake.lock pins, and nothing else.
func TestSetupTakesTheLockedLibre(t *testing.T) {
	if _, err := exec.LookPath("nix"); err != nil && os.Getenv("LIBRE_TEST_ALL") == "" {
		t.Skip("nix is not installed")
	}
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	writeAll(t, filepath.Join(dir, "catalogue"), "github", 1)
	writeAll(t, filepath.Join(dir, "catalogue"), "gitlab", 1)
	write("catalogue/flake.nix", `{ inputs.libre.url = "path:`+dir+`/libre"; outputs = _: { }; }`)
	write("libre/flake.nix", `{
  outputs = _: { packages = builtins.listToAttrs (map (system: { name = system; value.libre = derivation {
    name = "libre"; inherit system; builder = "/bin/sh";
    args = [ "-c" "PATH=/usr/bin:/bin; mkdir -p $out/bin; printf '#!/bin/sh\necho the pinned libre\n' >$out/bin/libre; chmod +x $out/bin/libre" ];
  }; }) [ "x86_64-linux" "aarch64-linux" ]); };
}`)
	write("temp/path", "")
	// It changes nothing of this machine.
	for _, name := range []string{"sudo", "apt-get"} {
		write("bin/"+name, "#!/bin/sh\n")
		if err := os.Chmod(filepath.Join(dir, "bin", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = filepath.Join(dir, "catalogue")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run("git", "init", "--quiet")
	run("git", "add", "--all")
	setup := func() (string, error) {
		cmd := exec.Command("bash", ".github/libre-setup.sh")
		cmd.Dir = filepath.Join(dir, "catalogue")
		cmd.Env = append(os.Environ(), "GITHUB_PATH="+dir+"/temp/path", "RUNNER_TEMP="+dir+"/temp",
			"PATH="+dir+"/bin:"+os.Getenv("PATH"), "NIX_CONFIG=sandbox = false")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := setup(); err == nil || !strings.Contains(out, `::error::flake.lock does not pin all inputs of flake.nix: run "nix flake lock"`) {
		t.Errorf("without a lock: %v\n%s", err, out)
	}
	run("nix", "--extra-experimental-features", "nix-command flakes", "flake", "lock")
	t.Cleanup(func() { removeRoot(t, filepath.Join(dir, "temp/libre")) })
	if out, err := setup(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bin, err := os.ReadFile(filepath.Join(dir, "temp/path"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(strings.TrimSpace(string(bin)) + "/libre").Output()
	if err != nil || string(out) != "the pinned libre\n" {
		t.Errorf("%q, %v", out, err)
	}
	t.Cleanup(func() {
		links, _ := filepath.Glob(filepath.Join(dir, "temp/tmp.*/libre"))
		for _, link := range links {
			removeRoot(t, link)
		}
	})
	job := shell(gitlabJobs(t, 1)["libre check"].before() + "libre\n")
	job.Dir = filepath.Join(dir, "catalogue")
	job.Env = append(os.Environ(), "TMPDIR="+dir+"/temp", "PATH="+dir+"/bin:"+os.Getenv("PATH"), "NIX_CONFIG=sandbox = false")
	if out, err := job.Output(); err != nil || string(out) != "the pinned libre\n" {
		t.Errorf("at GitLab: %q, %v", out, err)
	}
}

// removeRoot takes away what nix remembers of a link to the store.
func removeRoot(t *testing.T, link string) {
	roots, err := filepath.Glob("/nix/var/nix/gcroots/auto/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range roots {
		if to, err := os.Readlink(root); err == nil && to == link {
			if err := os.Remove(root); err != nil {
				t.Error(err)
			}
		}
	}
}

// A pull request's build takes the images that are not published as they are now.
func TestCheckBuildsWhatChanged(t *testing.T) {
	each(t, func(t *testing.T, forge, name string, w workflow) {
		if !strings.HasSuffix(name, "libre-check.yml") {
			return
		}
		steps := w.Jobs["check"].Steps
		checkBuildScript(t, steps[slices.IndexFunc(steps, func(s step) bool { return s.Name == "Build what changed" })].Run, "/tmp/my summary")
	})
}

package publish

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/sign"
	nixcode "github.com/libresh/libre/nix"
)

// workflowScript returns the script of a step of GitHub's workflow that publishes.
func workflowScript(t *testing.T, job, step string) string {
	t.Helper()
	var workflow struct {
		Jobs map[string]struct{ Steps []struct{ Name, Run string } }
	}
	check(t, yaml.Unmarshal(nixcode.Workflows("github", 1)[".github/workflows/libre-publish.yml"], &workflow))
	for _, s := range workflow.Jobs[job].Steps {
		if s.Name == step {
			return s.Run
		}
	}
	t.Fatalf("the job %s has no step %q", job, step)
	return ""
}

// job runs scripts of a workflow in a catalogue, each on a machine that has built nothing yet.
func (c catalogue) job(t *testing.T, scripts ...string) outcome {
	t.Helper()
	bin := libre.TempDir(t)
	check(t, os.Symlink(c.command().Path, filepath.Join(bin, "libre")))
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", strings.Join(scripts, "\n"))
	cmd.Dir, cmd.Env = c.dir, append(c.command().Env, "PATH="+bin+":"+os.Getenv("PATH"), "GITHUB_STEP_SUMMARY=/dev/null")
	return finish(cmd)
}

// The job of the workflow that signs publishes what the job before it built, for all systems, and
// builds nothing itself. So it is after the key was replaced, too.
func TestWorkflowSignsWhatItsOtherJobBuilt(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, bothSystems, "x86_64-linux", "aarch64-linux")
	c.file(t, "apps/pages/default.nix", `{ mkApp, ... }: mkApp {
  name = "pages"; version = "1"; packageVersion = 1; source.path = ./src;
  components.pages = { containerfile = "Containerfile"; bases.site = "tool/server"; };
}
`)
	c.file(t, "apps/pages/src/Containerfile", "FROM site\nCOPY index.html /pages/\n")
	c.file(t, "apps/pages/src/index.html", "<h1>pages</h1>\n")
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("keygen", "--output", filepath.Join(c.dir, "next")).want(t, 0)
	for _, test := range []struct{ when, key string }{{"new", "cosign.key"}, {"signed with another key", "next.key"}} {
		c.file(t, "libre.yaml", "registry: "+reg.prefix()+"\nsign:\n  key: "+test.key+"\n")
		builder, publisher := c.cold(t), c.cold(t)
		built := builder.job(t, workflowScript(t, "build", "Build what is not published")).want(t, 0)
		check(t, os.Rename(filepath.Join(builder.dir, "dist.tar"), filepath.Join(publisher.dir, "dist.tar")))
		publisher.env = append(publisher.env, "LIBRE_ENGINE=none")
		published := publisher.job(t, workflowScript(t, "publish", "Unpack the images"), workflowScript(t, "publish", "Publish")).want(t, 0)
		if strings.Contains(published.stderr, ": writing ") || strings.Contains(published.stderr, "building ") {
			t.Errorf("%s: the job that signs builds:\n%s", test.when, published.stderr)
		}
		want, got := printedDigests(built, "built"), printedDigests(published, "published")
		for name := range got {
			if want[name] == "" {
				delete(got, name) // a record
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) != 6 {
			t.Errorf("%s: built, and published: %s", test.when, diff)
		}
		reg.audit(t)
	}
}

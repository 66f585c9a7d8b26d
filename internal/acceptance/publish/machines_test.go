package publish

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/sign"
	nixcode "github.com/libresh/libre/nix"
)

// The scripts of the GitLab jobs for several machines publish a catalogue: one machine plans,
// each of three builds a part, and three others publish what these built. Each tag is written
// once. A second pipeline has nothing to do.
func TestScriptsForSeveralMachinesPublishEverything(t *testing.T) {
	t.Parallel()
	const number = 3
	c := newTwelve(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.file(t, "libre.yaml", "registry: "+reg.prefix()+"\nsign:\n  key: cosign.key\n")
	var jobs map[string]struct{ Script []string }
	if err := yaml.Unmarshal(nixcode.Workflows("gitlab", number)[".gitlab/libre.yml"], &jobs); err != nil {
		t.Fatal(err)
	}
	planned := c.cold(t)
	run := func(machine catalogue, job string, index int) string {
		cmd := machine.command()
		libre := filepath.Dir(cmd.Path)
		cmd.Args = []string{"bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", strings.Join(jobs[job].Script, "\n")}
		cmd.Path, cmd.Err = exec.LookPath("bash")
		cmd.Env = append(cmd.Env, "PATH="+libre+":"+os.Getenv("PATH"), fmt.Sprint("CI_NODE_INDEX=", index))
		return finish(cmd).want(t, 0).stdout
	}
	pipeline := func() (published string) {
		run(planned, "libre plan", 0)
		var all [number]string
		var group sync.WaitGroup
		for n := range all {
			group.Go(func() {
				build, publish, archive := c.cold(t), c.cold(t), fmt.Sprintf("dist-%d.tar", n+1)
				for _, to := range []catalogue{build, publish} {
					libre.Tool(t, "cp", filepath.Join(planned.dir, "matrix.json"), to.dir)
				}
				run(build, "libre build", n+1)
				libre.Tool(t, "cp", filepath.Join(build.dir, archive), publish.dir)
				all[n] = run(publish, "libre publish", n+1)
			})
		}
		group.Wait()
		return strings.Join(all[:], "")
	}
	published := pipeline()
	// Twelve apps have the variants default and debug, each with two images and a record.
	if n := strings.Count(published, "\tpublished\t"); n != 12*2*3 || len(reg.tags(t)) != n {
		t.Errorf("%d are published, the registry has %d tags:\n%s", n, len(reg.tags(t)), published)
	}
	reg.audit(t)
	c.run("verify", "--all").want(t, 0)
	if again := pipeline(); again != "" {
		t.Errorf("published again:\n%s", again)
	}
}

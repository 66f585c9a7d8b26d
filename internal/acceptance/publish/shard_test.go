package publish

import (
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/sign"
)

const shards = 8

// newTwelve returns a catalogue of twelve apps with two images each.
func newTwelve(t *testing.T) catalogue {
	t.Helper()
	files := map[string]string{}
	for n := range 12 {
		files[fmt.Sprintf("app%d/default.nix", n)] = fmt.Sprintf(`{ mkApp, pkgs, ... }: mkApp { name = "app%d"; version = "1"; packageVersion = 1;
  components.web.package = pkgs.writeText "web" "web of app%[1]d\n";
  components.job.package = pkgs.writeText "job" "job of app%[1]d\n";
}
`, n)
	}
	c := newCatalogue(t, files, "x86_64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	return c
}

// shardOf returns the shard that writes to a URL.
func shardOf(path string) int {
	app, _, _ := strings.Cut(strings.TrimPrefix(path, "/v2/"+namespace+"/"), "-")
	for number := 1; number <= shards; number++ {
		if (release.Shard{Number: number, Of: shards}).Has(app) {
			return number
		}
	}
	return 0
}

// Eight machines publish a catalogue together, and two of them are killed. Each release is
// published once, by one machine. After the two have run again, the registry has the same
// content as if one machine had published everything.
func TestShardsPublishTogetherWhatOneMachineDoes(t *testing.T) {
	t.Parallel()
	c := newTwelve(t)
	alone := newWatched(t, "referrers", sign.Bundle)
	c.run("push", "--all", "--to", alone.prefix()).want(t, 0)

	reg := newWatched(t, "referrers", sign.Bundle)
	machines, pushes := make([]catalogue, shards+1), make([]*exec.Cmd, shards+1)
	push := func(number int) []string {
		return []string{"push", "--all", "--shard", fmt.Sprintf("%d/%d", number, shards), "--to", reg.prefix()}
	}
	for number := 1; number <= shards; number++ {
		machines[number] = c.cold(t)
		pushes[number] = machines[number].command(push(number)...)
	}
	var mu sync.Mutex
	killed, tagged := map[int]bool{}, map[string]int{}
	victims := map[int]bool{shardOf("/v2/" + namespace + "/app0-"): true, shardOf("/v2/" + namespace + "/app1-"): true}
	reg.setMeddle(func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		written := manifestPath.FindStringSubmatch(r.URL.Path)
		if r.Method != http.MethodPut || written == nil {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if number := shardOf(r.URL.Path); victims[number] {
			if !killed[number] {
				killed[number] = true
				if err := syscall.Kill(-pushes[number].Process.Pid, syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}
			panic(http.ErrAbortHandler)
		}
		if isTag(written[2]) {
			tagged[written[1]]++
		}
		return false
	})
	var group sync.WaitGroup
	for number := 1; number <= shards; number++ {
		group.Go(func() {
			got := finish(pushes[number])
			if want := map[bool]int{true: -1, false: 0}[victims[number]]; got.code != want {
				t.Errorf("shard %d ends with %d, want %d\n%s", number, got.code, want, got.stderr)
			}
		})
	}
	group.Wait()
	if len(killed) != 2 {
		t.Errorf("killed are the shards %v, want two", killed)
	}
	for repository, times := range tagged {
		if times != 1 {
			t.Errorf("a tag of %s was written %d times", repository, times)
		}
	}
	reg.setMeddle(nil)
	reg.audit(t)
	for number := range victims {
		machines[number].run(push(number)...).want(t, 0)
	}
	if diff := cmp.Diff(alone.tags(t), reg.tags(t), butRecords); diff != "" {
		t.Errorf("published by one machine, and by eight: %s", diff)
	}
	reg.audit(t)
}

// A machine whose part has no app asks no registry, and says that it did nothing.
func TestEmptyShardHasNothingToDo(t *testing.T) {
	t.Parallel()
	c := shared(t)
	empty := 1
	for n := 1; n <= shards; n++ {
		if s := (release.Shard{Number: n, Of: shards}); !s.Has("one") && !s.Has("two") {
			empty = n
		}
	}
	got := c.run("push", "--all", "--shard", fmt.Sprintf("%d/%d", empty, shards), "--to", "localhost:1").want(t, 0)
	if !regexp.MustCompile(`\n0 images, [0-9.]+s\n$`).MatchString(got.stderr) || got.stdout != "" {
		t.Errorf("%q\n%s", got.stdout, got.stderr)
	}
}

// A machine that remembers no run divides the work by the sizes of what is published.
func TestMatrixOfAColdMachineIsBalancedBySizes(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for app, size := range map[string]int{"large": 3_000_000, "middle": 2_000_000, "small": 500_000, "tiny": 400_000} {
		files[app+"/default.nix"] = fmt.Sprintf(`{ mkApp, pkgs, ... }: mkApp { name = %q; version = "1"; packageVersion = 1;
  components.web.package = pkgs.runCommand "web" { } "head -c %d /dev/urandom > $out";
}
`, app, size)
	}
	c := newCatalogue(t, files, "x86_64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	reg := newWatched(t, "referrers", "")
	c.run("push", defaults, "--to", reg.prefix()).want(t, 0)
	for app := range files {
		c.edit(t, "apps/"+app, "packageVersion = 1", "packageVersion = 2")
	}
	got := c.cold(t).run("plan", defaults, "--to", reg.prefix(), "--matrix=2").want(t, 0)
	const want = `{"include":[{"name":"1 of 2","selection":"middle/*/default small/*/default tiny/*/default","images":3},{"name":"2 of 2","selection":"large/*/default","images":1}]}`
	if strings.TrimSpace(got.stdout) != want {
		t.Errorf("%s\nwant %s", got.stdout, want)
	}
}

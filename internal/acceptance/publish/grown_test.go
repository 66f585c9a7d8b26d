package publish

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A cost is what a command took.
type cost struct {
	requests, lists int           // all requests, and those for pages of tags
	wall, cpu       time.Duration // cpu is of libre alone
	memory          int64         // peak, in bytes
}

// measured runs a command that succeeds, and returns what it took.
func (c catalogue) measured(t *testing.T, reg *watched, args ...string) (outcome, cost) {
	t.Helper()
	before, start := reg.count(), time.Now()
	cmd := c.command(append(args, "--to", reg.prefix())...)
	cmd.Env = append(cmd.Env, "GOGC=")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	check(t, cmd.Start())
	took := cost{memory: waitForPeak(cmd)}
	got := outcome{cmd.Args[1:], cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}.want(t, 0)
	took.wall, took.cpu = time.Since(start), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	for _, request := range reg.since(before) {
		took.requests++
		if strings.HasSuffix(request, "/tags/list") {
			took.lists++
		}
	}
	return got, took
}

// An app has many releases, and its registry sends their tags in pages. What is about the
// present release alone costs the same as with one release, plus the pages where all tags must
// be known. What is about all releases costs in proportion to their number.
func TestRegistryGrows(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"grown/default.nix": `{ mkApp, pkgs, ... }: mkApp { name = "grown"; version = "20000"; packageVersion = 1;
  components.web.package = pkgs.writeText "web" "web\n";
}
`}, "x86_64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	c.run("build", "--all").want(t, 0)
	const few, many = 1000, 10_000
	one, some, all := costsOf(t, c, 1), costsOf(t, c, few), costsOf(t, c, many)
	for name, took := range all {
		alone := one[name]
		switch name {
		case "prune", "site":
			times := float64(many) / few
			if requests := float64(took.requests) / float64(some[name].requests); requests > 1.1*times {
				t.Errorf("%s sends %.1f times the requests for %.0f times the releases", name, requests, times)
			}
			// What grows with the square takes a hundred times as much. Beside other work, 17 times
			// were seen for ten times the releases.
			if cpu := took.cpu.Seconds() / some[name].cpu.Seconds(); cpu > 3*times {
				t.Errorf("%s takes %.1f times the CPU time for %.0f times the releases", name, cpu, times)
			}
			if took.memory > 1<<30 {
				t.Errorf("%s needs %d MB", name, took.memory>>20)
			}
		case "push", "check":
			if took.lists > alone.lists+many/tagsPage || took.requests-took.lists > alone.requests-alone.lists+10 {
				t.Errorf("%s sends %d requests, %d of them for pages of tags; for one release %d, %d", name, took.requests, took.lists, alone.requests, alone.lists)
			}
		default:
			if took.requests != alone.requests || took.lists > 0 {
				t.Errorf("%s sends %d requests, %d of them for pages of tags; for one release %d", name, took.requests, took.lists, alone.requests)
			}
		}
	}
}

// costsOf returns what commands take in a registry with a number of releases.
func costsOf(t *testing.T, c catalogue, releases int) map[string]cost {
	t.Helper()
	reg, costs := grown(t, c, releases-1), map[string]cost{}
	const keep = 100
	for _, run := range []struct{ name, args string }{
		{"push", "push --all"},
		{"push again", "push --all"},
		{"status", "status --all"},
		{"verify", "verify --all"},
		{"check", "check"},
		{"withdraw", "withdraw grown 20000-1 --reason wrong"},
		{"undo", "withdraw --undo grown 20000-1"},
		{"prune", fmt.Sprintf("prune --all --keep %d --plan %s", keep, filepath.Join(c.dir, "plan.json"))},
		{"site", "site --notes=false --output " + t.TempDir()},
	} {
		got, took := c.measured(t, reg, strings.Fields(run.args)...)
		costs[run.name] = took
		t.Logf("%6d releases: %-10s %6d requests, %3d of them pages of tags; %6.2f s, %6.2f s CPU, %4d MB", releases, run.name, took.requests, took.lists, took.wall.Seconds(), took.cpu.Seconds(), took.memory>>20)
		if goes := strings.Count(got.stdout, "\tgoes\t"); run.name == "prune" && goes != max(0, releases-keep) {
			t.Errorf("%d of %d releases go", goes, releases)
		}
	}
	return costs
}

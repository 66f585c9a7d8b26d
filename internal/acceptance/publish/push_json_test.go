package publish

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/sign"
)

// The JSON of push has what the next step of a pipeline needs: what is published under which
// digest, and what failed in which step.
func TestPushSaysWhatItPublishedAsJSON(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	type entry struct{ Name, Kind, State, Reference, Digest, Step, Error string }
	push := func(code int) map[string]entry {
		t.Helper()
		var list []entry
		if err := json.Unmarshal([]byte(c.run("push", "two/*/default", "--to", reg.prefix(), "--json").want(t, code).stdout), &list); err != nil {
			t.Fatal(err)
		}
		all := map[string]entry{}
		for _, e := range list {
			all[e.Name] = e
		}
		return all
	}
	for _, state := range []string{"published", "unchanged"} {
		all, tags := push(0), reg.tags(t)
		if len(all) != 3 {
			t.Fatalf("%v", all)
		}
		for name, e := range all {
			tag := strings.TrimPrefix(e.Reference, reg.prefix()+"/")
			if kind := map[int]string{1: "release", 2: "image"}[strings.Count(name, "/")]; e.Kind != kind || e.State != state || e.Digest != tags[tag] || e.Digest == "" {
				t.Errorf("%+v: want %s, %s, %s", e, kind, state, tags[tag])
			}
		}
	}
	c.edit(t, "apps/two/default.nix", `packageVersion = 3`, `packageVersion = 4`)
	c.edit(t, "apps/two/default.nix", `pkgs.writeText "job" "the job of two\n"`, `pkgs.runCommand "job" { } "exit 7"`)
	all, tags := push(3), reg.tags(t)
	if job := all["two/job/default"]; job.State != "failed" || job.Step == "" || !strings.Contains(job.Error, "exit code 7") {
		t.Errorf("%+v", job)
	}
	if _, tagged := tags["two-default:2-4"]; tagged {
		t.Error("a release that is not complete is tagged")
	}
}

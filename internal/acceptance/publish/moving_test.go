package publish

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/sign"
)

// Moving tags follow a release when it is published, and never go back.
func TestMovingTagsFollowAReleaseAndNeverGoBack(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "docker-registry", sign.Bundle)
	push := func(want string) {
		t.Helper()
		got := c.run("push", two, "--to", reg.prefix(), "--also-tag", "latest", "--also-tag", "{major}").want(t, 0)
		tags := reg.tags(t)
		for _, name := range []string{"two-default", "two-web-default", "two-job-default"} {
			for _, tag := range []string{"latest", "2"} {
				if tags[name+":"+tag] == "" || tags[name+":"+tag] != tags[name+":"+want] {
					t.Errorf("%s:%s is %q, %s is %q\n%s", name, tag, tags[name+":"+tag], want, tags[name+":"+want], got.stdout)
				}
			}
		}
	}
	c.run("push", two, "--to", reg.prefix()).want(t, 0) // the moving tag is configured later
	push("2-3")
	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 10")
	push("2-10")
	before := reg.count()
	push("2-10")
	for _, request := range reg.since(before) {
		if strings.HasPrefix(request, "PUT ") {
			t.Errorf("nothing to do, and yet %s", request)
		}
	}
	c.edit(t, "apps/two/default.nix", "packageVersion = 10", "packageVersion = 9")
	held := c.run("push", two, "--to", reg.prefix(), "--also-tag", "latest").want(t, 0)
	if !strings.Contains(held.stdout, "\theld\tnot tagged latest: that is at 2-10, which is newer\n") {
		t.Errorf("an older release:\n%s", held.stdout)
	}
	tags := reg.tags(t)
	if tags["two-default:latest"] != tags["two-default:2-10"] || tags["two-default:2-9"] == "" {
		t.Errorf("tags: %v", tags)
	}
	for tag, reason := range map[string]string{
		"1.0-1": "it looks like the tag of a release", "a b": "expected a tag", "{patch}": "the only placeholders are {major} and {minor}",
	} {
		if got := c.run("push", two, "--to", reg.prefix(), "--also-tag", tag).want(t, 2); !strings.Contains(got.stderr, reason) {
			t.Errorf("--also-tag %q:\n%s", tag, got.stderr)
		}
	}
	if got := c.run("push", two, "--to", reg.prefix(), "--also-tag", "3").want(t, 3); !strings.Contains(got.stderr, "tag 3: it looks like a version, but not like version 2") {
		t.Errorf("a tag of another version:\n%s", got.stderr)
	}
	reg.audit(t)

	// Somebody with push access may put an old record under a new tag, but it does not verify there.
	for _, tag := range []string{"2-11", "v3.0.0", "3-rc1", "2-03", "2.1", "3"} {
		reg.retag(t, "two-default", "2-3", tag)
		for _, command := range []string{"verify", "show"} {
			refused := c.run(command, reg.prefix()+"/two-default:"+tag).want(t, 1)
			if !strings.Contains(refused.stderr, "which is signed as two-default:2-3") {
				t.Errorf("%s of a record under the tag %s:\n%s", command, tag, refused.stderr)
			}
		}
	}
	verified := c.run("verify", reg.prefix()+"/two-default:latest").want(t, 0)
	if !strings.Contains(verified.stdout, "\tverified\tsignature, signed as "+reg.prefix()+"/two-default:2-10\n") {
		t.Errorf("a moving tag:\n%s", verified.stdout)
	}
}

// Several registries get the same content: it is built, signed and pushed once, then copied
// with all attachments. Tags are set last there, too.
func TestCopiesHaveAllThatIsAttached(t *testing.T) {
	t.Parallel()
	for _, format := range []sign.Format{sign.Bundle, sign.Classic} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			c := formatted(t, format)
			first := newWatched(t, "referrers", format)
			second := newWatched(t, "docker-registry", format)
			second.hasCopiesOf(first)
			args := []string{"push", two, "--to", first.prefix(), "--to", second.prefix(), "--also-tag", "latest"}
			got := c.run(args...).want(t, 0)
			if want := undisturbedTwo(t); len(want) == 0 || strings.Count(got.stdout, "\tpublished\t") != 2*len(want) || strings.Count(got.stdout, "\tmoved\t") != 2*len(want) {
				t.Errorf("printed:\n%s", got.stdout)
			}
			if diff := cmp.Diff(first.tags(t), second.tags(t)); diff != "" {
				t.Errorf("tags here and there: %s", diff)
			}
			first.audit(t)
			second.audit(t)
			before := second.count()
			c.run(args...).want(t, 0)
			for _, request := range second.since(before) {
				if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
					t.Errorf("nothing to do, and yet %s", request)
				}
			}
			// An unreachable registry holds nothing back in the others.
			third := newWatched(t, "referrers", format)
			broken := c.run("push", two, "--to", third.prefix(), "--to", "127.0.0.1:1/none").want(t, 3)
			checkLines(t, broken)
			if diff := cmp.Diff(undisturbedTwo(t), third.tags(t), butRecords); diff != "" {
				t.Errorf("beside a registry that is away: %s", diff)
			}
		})
	}
}

// The command plan prints what push would do with each image, and why.
func TestPlanSaysWhatPushWouldDo(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	plan := func(env ...string) string {
		t.Helper()
		planned := c
		planned.env = append(planned.env, env...)
		got := planned.run("plan", two, "--to", reg.prefix()).want(t, 0)
		var lines []string
		for _, line := range strings.Split(strings.TrimSpace(got.stdout), "\n") {
			cells := strings.Split(line, "\t")
			reason, _, _ := strings.Cut(cells[2], ":")
			lines = append(lines, cells[0]+" "+cells[1]+" "+reason)
		}
		return strings.Join(lines, ", ")
	}
	check := func(when, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	host, _, _ := strings.Cut(reg.prefix(), ":")
	check("built", plan(), "two/job/default push new, two/web/default push new")
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	check("published", plan(), "two/job/default nothing published, two/web/default nothing published")
	reg.forget(t, "two-web-default", "2-3")
	check("a tag is gone", plan(), "two/job/default tag there is no tag "+host+", two/web/default tag there is no tag "+host)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)

	// With another key, everything is signed again, with the same digests.
	c.run("keygen", "--output", "next").want(t, 0)
	c.file(t, "libre.yaml", "sign:\n  key: next.key\n")
	check("another key", plan(), "two/job/default sign not signed, two/web/default sign not signed")
	next, err := sign.Config{PublicKeys: []sign.PublicKey{{File: filepath.Join(c.dir, "next.pub")}}}.Policy(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	reg.expect(next)
	pushed := c.run("push", two, "--to", reg.prefix()).want(t, 0)
	if diff := cmp.Diff(undisturbedTwo(t), printedDigests(pushed, "published"), butRecords); diff != "" {
		t.Errorf("signed with another key: %s", diff)
	}
	check("signed with another key", plan(), "two/job/default nothing published, two/web/default nothing published")

	c.edit(t, "apps/two/default.nix", "the job of two", "another job")
	check("a changed image", plan(), "two/job/default refuse image key of two/job/default changed, two/web/default nothing published")
	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
	check("a new package version", plan(), "two/job/default build new, two/web/default build new")
}

// A release whose moving tags do not point to it needs work: plan, its matrix and status say so, for
// each registry. A newer release keeps its tags.
func TestPlanAndStatusReadMovingTags(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg, copies := newWatched(t, "referrers", sign.Bundle), newWatched(t, "referrers", sign.Bundle)
	copies.hasCopiesOf(reg)
	settings := "sign:\n  key: cosign.key\nregistry: " + reg.prefix() + "\ncopyTo: [" + copies.prefix() + "]\n"
	c.file(t, "libre.yaml", settings)
	c.run("push", two).want(t, 0)
	is := func(when, action, state, reason string, code int) {
		t.Helper()
		planned, status := c.run("plan", two).want(t, code), c.run("status", two)
		for _, image := range []string{"two/job/default", "two/web/default"} {
			if line := image + "\t" + action + "\t" + reason; !strings.Contains(planned.stdout, line) {
				t.Errorf("%s: plan has no %q\n%s%s", when, line, planned.stdout, planned.stderr)
			}
		}
		if !strings.Contains(status.stdout, "\t"+state+"\t") || !strings.Contains(status.stdout, reason) {
			t.Errorf("%s: status, want %s, %s\n%s", when, state, reason, status.stdout)
		}
		const work = `"selection":"two/*/default","images":2`
		if got := c.run("plan", two, "--matrix").want(t, code); strings.Contains(got.stdout, work) != (action == "tag") {
			t.Errorf("%s: %s", when, got.stdout)
		}
	}
	c.file(t, "libre.yaml", settings+"alsoTag: [latest, \"{major}\"]\n")
	is("configured later", "tag", "not tagged", "there is no tag "+reg.prefix()+"/two-default:latest", 0)
	c.run("push", two).want(t, 0)
	is("set", "nothing", "published", "", 0)
	copies.forget(t, "two-default", "latest")
	is("gone from a copy", "tag", "not tagged", "there is no tag "+copies.prefix()+"/two-default:latest", 0)
	c.run("push", two).want(t, 0)

	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
	c.run("push", two).want(t, 0)
	reg.retag(t, "two-default", "2-3", "latest") // as after a run that was killed before it moved the tag
	is("at an older release", "tag", "not tagged", reg.prefix()+"/two-default:latest points to another release", 0)
	c.run("push", two).want(t, 0)
	c.edit(t, "apps/two/default.nix", "packageVersion = 4", "packageVersion = 3")
	is("at a newer release", "nothing", "published", "", 0)

	reg.retag(t, "two-web-default", "2-3", "stolen")
	reg.plant(t, "two-web-default:2-3", "two-default:latest")
	is("at something else", "moved", "moved", reg.prefix()+"/two-default:latest was moved: it points to ", 1)
	if checked := c.run("check", two).want(t, 1); !strings.Contains(checked.stdout, "/two-default:latest was moved: it points to ") {
		t.Errorf("check:\n%s", checked.stdout)
	}
}

// retag points another tag to the target of a tag.
func (w *watched) retag(t testing.TB, repository, from, to string) {
	t.Helper()
	tag, err := name.NewTag(w.backend + "/" + namespace + "/" + repository + ":" + from)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Get(tag)
	if err == nil {
		err = remote.Tag(tag.Context().Tag(to), got)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// --fail-fast stops at the first failure. Images that it stops do not count as failed.
func TestFailFastStopsAtTheFirstFailure(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	c.file(t, "apps/failing/default.nix", `{ mkApp, pkgs, ... }:
mkApp {
  name = "failing"; version = "1"; packageVersion = 1;
  components.bad.package = pkgs.runCommand "bad" { } "echo no luck; exit 1";
}
`)
	reg := newWatched(t, "referrers", sign.Bundle)
	got := c.run("push", defaults, "--to", reg.prefix(), "--fail-fast").want(t, 3)
	checkLines(t, got)
	if strings.Contains(got.stderr, "context canceled") || !strings.Contains(got.stderr, "no luck") {
		t.Errorf("stderr:\n%s", got.stderr)
	}
	c.run("push", "two/*/default", "one/*/default", "--to", reg.prefix()).want(t, 0)
	reg.audit(t)
}

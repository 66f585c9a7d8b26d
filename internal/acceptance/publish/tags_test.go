package publish

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/sign"
)

// A tag with other content stays, unless --force is given.
func TestConflictingTagIsKeptWithoutForce(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "docker-registry", sign.Bundle)
	first := printedDigests(c.run("push", defaults, "--to", reg.prefix()).want(t, 0), "published")
	c.edit(t, "apps/two/default.nix", "the job of two", "another job")

	status := c.run("status", two, "--to", reg.prefix()).want(t, 1)
	if !strings.Contains(status.stdout, "\tother content\t") {
		t.Errorf("status:\n%s", status.stdout)
	}
	checked := c.run("check", two, "--to", reg.prefix()).want(t, 1)
	if !strings.Contains(checked.stdout, "two/default\ttwo-default:2-3 is published with other content: image key of two/job/default changed") ||
		!strings.Contains(checked.stdout, "\tlibre bump --repack two\n") {
		t.Errorf("check:\n%s", checked.stdout)
	}
	before := reg.count()
	refused := c.run("push", defaults, "--to", reg.prefix()).want(t, 3)
	checkLines(t, refused)
	if !strings.Contains(refused.stderr, "two-default:2-3 is published with other content: raise the package version with \"libre bump --repack two\"") {
		t.Errorf("the refusal:\n%s", refused.stderr)
	}
	if unchanged := printedDigests(refused, "unchanged"); len(unchanged) != 4 {
		t.Errorf("the other app:\n%s", refused.stdout)
	}
	for _, request := range reg.since(before) {
		if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
			t.Errorf("refused, and yet %s", request)
		}
	}
	if diff := cmp.Diff(first, reg.tags(t)); diff != "" {
		t.Errorf("tags after the refusal: %s", diff)
	}

	forced := c.run("push", two, "--to", reg.prefix(), "--force").want(t, 0)
	after := printedDigests(forced, "published")
	for _, name := range []string{"two-job-default:2-3", "two-default:2-3"} {
		if after[name] == first[name] {
			t.Errorf("%s is what it was:\n%s", name, forced.stdout)
		}
		if !strings.Contains(forced.stderr, fmt.Sprintf("%s is replaced: it was %s", name, first[name])) {
			t.Errorf("nothing says that %s was replaced:\n%s", name, forced.stderr)
		}
		first[name] = after[name]
	}
	if diff := cmp.Diff(first, reg.tags(t)); diff != "" {
		t.Errorf("tags after --force: %s", diff)
	}
	reg.audit(t)

	// This is the intended way.
	c.run("bump", "--repack", "two").want(t, 0)
	c.run("check", two, "--to", reg.prefix()).want(t, 0)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	if tags := reg.tags(t); len(tags) != len(first)+3 || tags["two-default:2-3"] != first["two-default:2-3"] {
		t.Errorf("tags after a new package version: %v", tags)
	}
	c.edit(t, "apps/two/default.nix", "packageVersion = 4", "packageVersion = 2")
	lower := c.run("check", two, "--to", reg.prefix()).want(t, 1)
	if !strings.Contains(lower.stdout, "two/default\tversion 2-2 is lower than 2-4, which is published\tset packageVersion to 5 in apps/two/default.nix:3\n") {
		t.Errorf("check of a lower version:\n%s", lower.stdout)
	}
}

// An image's tag without a record is kept, too.
func TestImageTagOfOthersIsKeptWithoutForce(t *testing.T) {
	t.Parallel()
	c := shared(t)
	reg := newWatched(t, "no referrers", "") // the tag's content is not signed
	libre.Tool(t, "skopeo", "copy", "--all", "--dest-tls-verify=false",
		"oci:"+c.dir+"/dist:two-web-default:2-3", "docker://"+reg.prefix()+"/two-job-default:2-3")
	planned := c.run("plan", two, "--to", reg.prefix()).want(t, 0)
	if strings.Count(planned.stdout, "\trefuse\tthe tag two-job-default:2-3 points to another image, and there is no release record: ") != 2 {
		t.Errorf("the plan:\n%s", planned.stdout)
	}
	before := reg.count()
	refused := c.run("push", defaults, "--to", reg.prefix()).want(t, 3)
	checkLines(t, refused)
	if !strings.Contains(refused.stderr, "two-job-default:2-3 is published with other content") {
		t.Errorf("the refusal:\n%s", refused.stderr)
	}
	for _, request := range reg.since(before) {
		if strings.Contains(request, "/two-") && !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
			t.Errorf("refused, and yet %s", request)
		}
	}
	if tags := reg.tags(t); len(tags) != 1+4 || tags["two-job-default:2-3"] != undisturbed(t)["two-web-default:2-3"] {
		t.Errorf("tags: %v", tags)
	}
}

// If one tag of a later release is taken, none of its tags is set.
func TestNoTagOfAReleaseIsSetWhereOneIsTaken(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "docker-registry", sign.Bundle)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	c.run("bump", "--repack", "two").want(t, 0)
	reg.lenient = true // the tag that is set now has another name's content
	libre.Tool(t, "skopeo", "copy", "--all", "--dest-tls-verify=false",
		"oci:"+c.dir+"/dist:two-job-default:2-3", "docker://"+reg.prefix()+"/two-web-default:2-4")
	reg.lenient = false
	before := reg.tags(t)
	refused := c.run("push", two, "--to", reg.prefix()).want(t, 3)
	checkLines(t, refused)
	if !strings.Contains(refused.stderr, "two-web-default:2-4 is published with other content") {
		t.Errorf("the refusal:\n%s", refused.stderr)
	}
	if diff := cmp.Diff(before, reg.tags(t)); diff != "" {
		t.Errorf("tags after the refusal: %s", diff)
	}
	// A dry run reports the same.
	dry := c.run("push", two, "--to", reg.prefix(), "--dry-run").want(t, 3)
	if !strings.Contains(dry.stderr, "two-web-default:2-4 is published with other content") {
		t.Errorf("the dry run:\n%s", dry.stderr)
	}
}

// An image by somebody else with the name and key of this catalogue's image is compared
// with the built one, and refused.
func TestForeignImageWithTheSameKeyIsRefused(t *testing.T) {
	t.Parallel()
	c := shared(t)
	ours, err := layout.ImageIndexFromPath(filepath.Join(c.dir, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := v1.NewHash(undisturbed(t)["two-job-default:2-3"])
	if err != nil {
		t.Fatal(err)
	}
	index, err := ours.ImageIndex(digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	annotations := maps.Clone(manifest.Annotations)
	annotations["org.example"] = "forged"
	forged := mutate.Annotations(index, annotations).(v1.ImageIndex)
	reg := newWatched(t, "docker-registry", "") // the tag's content is not signed
	tag, err := name.NewTag(reg.prefix() + "/two-job-default:2-3")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, forged); err != nil {
		t.Fatal(err)
	}
	before := reg.tags(t)
	refused := c.run("push", two, "--to", reg.prefix()).want(t, 3)
	checkLines(t, refused)
	if !strings.Contains(refused.stderr, "two-job-default:2-3 is published with other content") {
		t.Errorf("the refusal:\n%s", refused.stderr)
	}
	if diff := cmp.Diff(before, reg.tags(t)); diff != "" {
		t.Errorf("tags after the refusal: %s", diff)
	}
}

// A part of a release is not tagged before the rest exists.
func TestPartOfAReleaseIsHeldUntilTheRestIsThere(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, definitions, "x86_64-linux")
	reg := newWatched(t, "no referrers", sign.Bundle)
	const job, web = "two/job/default", "two/web/default"
	first := c.run("push", web, "--to", reg.prefix(), "--key", "cosign.key").want(t, 0)
	if !strings.Contains(first.stdout, "\theld\tnot tagged: "+job+" is not published yet\n") || strings.Count(first.stdout, "\n") != 1 {
		t.Errorf("the first part:\n%s", first.stdout)
	}
	// An image that is built but not selected is not published.
	c.run("build", job).want(t, 0)
	before := reg.count()
	again := c.run("push", web, "--to", reg.prefix(), "--key", "cosign.key").want(t, 0)
	if again.stdout != first.stdout {
		t.Errorf("the first part again:\n%s", again.stdout)
	}
	for _, request := range reg.since(before) {
		if strings.HasPrefix(request, "PUT ") {
			t.Errorf("nothing to do, and yet %s", request)
		}
	}
	if tags := reg.tags(t); len(tags) != 0 {
		t.Errorf("tagged: %v", tags)
	}
	rest := c.run("push", job, "--to", reg.prefix(), "--key", "cosign.key").want(t, 0)
	if diff := cmp.Diff(undisturbedTwo(t), printedDigests(rest, "published"), butRecords); diff != "" {
		t.Errorf("the rest: %s", diff)
	}
	if diff := cmp.Diff(undisturbedTwo(t), reg.tags(t), butRecords); diff != "" {
		t.Errorf("tags: %s", diff)
	}
	reg.audit(t)
}

// A dry run writes nothing, and prints what a run would push.
func TestDryRunPushesNothing(t *testing.T) {
	t.Parallel()
	c := shared(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	got := c.run("push", defaults, "--to", reg.prefix(), "--dry-run").want(t, 0)
	if diff := cmp.Diff(undisturbedDefaults(t), printedDigests(got, "dry-run"), butRecords); diff != "" {
		t.Errorf("printed: %s", diff)
	}
	for _, request := range reg.since(0) {
		if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
			t.Errorf("a dry run does %s", request)
		}
	}
}

// An app that cannot be evaluated, or an image that cannot be built, holds back its own
// releases only.
func TestBrokenAppHoldsBackItsOwnReleasesOnly(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	c.file(t, "apps/broken/default.nix", `{ mkApp, ... }: mkApp { name = "broken"; }`)
	c.file(t, "apps/failing/default.nix", `{ mkApp, pkgs, ... }:
mkApp {
  name = "failing"; version = "1"; packageVersion = 1;
  components.bad.package = pkgs.runCommand "bad" { } "echo no luck; exit 1";
  components.good.package = pkgs.writeText "good" "good\n";
}
`)
	reg := newWatched(t, "referrers", sign.Bundle)
	got := c.run("push", defaults, "--to", reg.prefix()).want(t, 3)
	checkLines(t, got)
	if diff := cmp.Diff(undisturbedDefaults(t), printedDigests(got, "published"), butRecords); diff != "" {
		t.Errorf("the others: %s", diff)
	}
	for _, want := range []string{"failing/bad/default", "broken"} {
		if !strings.Contains(got.stderr, "\nfailed: "+want+"\n") {
			t.Errorf("no line about %s:\n%s", want, got.stderr)
		}
	}
	if !strings.Contains(got.stdout, "held\tnot tagged: failing/bad/default failed") {
		t.Errorf("the table:\n%s", got.stdout)
	}
}

// If a registry does not change tags, the error is in its own words. The fix is another
// version or the registry's settings, not another login.
func TestImmutableTagsAreNamedWithTheRegistrysReason(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", two, "--to", reg.prefix(), "--also-tag", "latest").want(t, 0)
	c.edit(t, "apps/two/default.nix", "the web of two", "another web of two")
	c.run("build", two).want(t, 0)
	moved := c.copy(t)
	moved.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
	moved.run("build", two).want(t, 0)
	for answer, words := range map[string]string{
		"400 TAG_INVALID": "The image tag '2-3' already exists in the 'two' repository and cannot be overwritten because the tag is immutable.",
		"405 UNSUPPORTED": "The operation is disallowed on this registry, repository or image",
		"201 ":            "",
	} {
		reg.setMeddle(func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
			written := manifestPath.FindStringSubmatch(r.URL.Path)
			if r.Method != http.MethodPut || written == nil || written[2] != "2-3" && written[2] != "latest" {
				return false
			}
			status, code, _ := strings.Cut(answer, " ")
			number, _ := strconv.Atoi(status)
			w.WriteHeader(number)
			_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, words)
			return true
		})
		_, code, _ := strings.Cut(answer, " ")
		said := strings.TrimRight(code+": "+words, ".")
		if code == "" {
			said = "the registry accepted the tag, which then points to another digest"
		}
		check := func(got outcome, fix string) {
			t.Helper()
			line := ""
			for _, one := range strings.Split(got.stderr, "\n") {
				if strings.Contains(one, said) {
					line = one
				}
			}
			if !strings.Contains(line, fix+", or allow overwriting tags in the registry's settings") || strings.Contains(got.stderr, "log in") || strings.Contains(got.stderr, ".;") {
				t.Errorf("%s:\n%s", answer, got.stderr)
			}
		}
		got := c.run("push", two, "--to", reg.prefix(), "--force").want(t, 3)
		check(got, `(it points to `+reg.tags(t)["two-web-default:2-3"]+`); raise the package version with "libre bump --repack two"`)
		check(moved.run("push", two, "--to", reg.prefix(), "--also-tag", "latest").want(t, 3), "remove it from alsoTag")
	}
}

// Before a new release of images that Nix builds, one of them is asked whether it has the tag, once.
func TestTagOfANewReleaseIsAskedForOnce(t *testing.T) {
	t.Parallel()
	const selection = "two/*/default"
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", selection, "--to", reg.prefix()).want(t, 0)
	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
	seen, isSending, asked := reg.record(0), false, 0
	c.run("push", selection, "--to", reg.prefix()).want(t, 0)
	for _, x := range seen.of(func(x *exchange) bool { return x.repository != "two-default" }) {
		isSending = isSending || x.method == http.MethodPost
		if !isSending && x.subject == "2-4" {
			asked++
		}
	}
	if !isSending || asked != 1 {
		t.Errorf("%d requests for the tag before anything was sent (%t)", asked, isSending)
	}
}

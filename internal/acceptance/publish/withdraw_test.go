package publish

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/withdrawn"
)

// The newer of two releases is withdrawn, reinstated, and withdrawn again. Every command
// follows the statement in the registry, in both formats and in every kind of registry.
func TestWithdrawnReleases(t *testing.T) {
	t.Parallel()
	for _, format := range []sign.Format{sign.Bundle, sign.Classic} {
		for _, kind := range []string{"referrers", "no referrers", "docker-registry"} {
			t.Run(string(format)+"/"+kind, func(t *testing.T) {
				t.Parallel()
				testWithdrawn(t, format, kind)
			})
		}
	}
}

const lossy = `Loses messages, "sometimes".`

// withdrawnCatalogue returns a catalogue whose app two has two releases in a registry: 2-3, and
// the present one, 2-4.
func withdrawnCatalogue(t *testing.T, format sign.Format, reg *watched) (c catalogue, push func(want ...string) outcome) {
	t.Helper()
	c = formatted(t, format).copy(t)
	push = func(want ...string) outcome {
		t.Helper()
		got := c.run("push", two, "--to", reg.prefix(), "--also-tag", "latest", "--also-tag", "{major}").want(t, 0)
		for _, line := range want {
			if !strings.Contains(got.stdout, line) {
				t.Errorf("push does not print %q:\n%s", line, got.stdout)
			}
		}
		return got
	}
	push()
	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
	push()
	return c, push
}

func (w *watched) wantMoving(t *testing.T, release string) {
	t.Helper()
	tags := w.tags(t)
	for _, repository := range []string{"two-default", "two-web-default", "two-job-default"} {
		for _, tag := range []string{"latest", "2"} {
			if tags[repository+":"+tag] == "" || tags[repository+":"+tag] != tags[repository+":"+release] {
				t.Errorf("%s:%s is not at %s", repository, tag, release)
			}
		}
	}
}

func testWithdrawn(t *testing.T, format sign.Format, kind string) {
	reg := newWatched(t, kind, format)
	c, push := withdrawnCatalogue(t, format, reg)
	fixed := reg.tags(t)
	idle := func() int {
		t.Helper()
		before := reg.count()
		c.run("push", two, "--to", reg.prefix()).want(t, 0)
		requests := reg.since(before)
		for _, request := range requests {
			if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
				t.Errorf("nothing to do, and yet %s", request)
			}
		}
		return len(requests)
	}
	without := idle()
	if got := c.run("withdraw", "two", "2-4", "--reason", lossy, "--to", reg.prefix()).want(t, 0); got.stdout != withdrawn.File+"\n" {
		t.Errorf("withdraw prints %q", got.stdout)
	}
	if got := c.run("status", two, "--to", reg.prefix()).want(t, 1); !strings.Contains(got.stdout, "\tincomplete\t") || !strings.Contains(got.stdout, "libre push 'two/*/default'") {
		t.Errorf("status before push:\n%s", got.stdout)
	}
	record := reg.prefix() + "/two-default:2-4"
	if got := c.run("push", two, "--to", reg.prefix(), "--dry-run").want(t, 0); !strings.Contains(got.stdout, "\tdry-run\twould be withdrawn: "+lossy) {
		t.Errorf("a dry run:\n%s", got.stdout)
	}
	c.run("verify", record, "--key", "cosign.pub").want(t, 0)
	push("two-default:2-4@", "\twithdrawn\t"+lossy+"\n")
	reg.wantMoving(t, "2-3")
	if with := idle(); format == sign.Bundle && with > without {
		t.Errorf("a push of what is published sends %d requests, %d without withdrawals", with, without)
	}
	testHonoured(t, c, reg)

	// A new release becomes the present one, and gets the statement.
	c.edit(t, "apps/two/default.nix", "packageVersion = 4", "packageVersion = 5")
	push("two-default:2-5@", "\tpublished\t")
	reg.wantMoving(t, "2-5")
	if got := c.run("status", two, "--to", reg.prefix()).want(t, 0); !strings.Contains(got.stdout, "\tpublished\t") || !strings.Contains(got.stdout, "withdrawn releases: 2-4") {
		t.Errorf("status of the next release:\n%s", got.stdout)
	}
	if got := c.run("verify", record, "--key", "cosign.pub").want(t, 1); !strings.Contains(got.stderr, "use "+reg.prefix()+"/two-default:2-5") {
		t.Errorf("what to use instead:\n%s", got.stderr)
	}
	idle()

	// If a person removes the entry from the file, the release is reinstated, even together with a
	// new release.
	c.file(t, withdrawn.File, "# none\n")
	c.edit(t, "apps/two/default.nix", "packageVersion = 5", "packageVersion = 6")
	push("two-default:2-4@", "\treinstated\tit was withdrawn: "+lossy+"\n")
	for _, reference := range []string{record, reg.prefix() + "/two-web-default:2-4"} {
		c.run("verify", reference, "--key", "cosign.pub").want(t, 0)
	}
	idle()

	c.run("withdraw", "two", "2-4", "--reason", "Again.", "--to", reg.prefix()).want(t, 0)
	c.run("withdraw", "two", "2-4", "--undo").want(t, 0)
	if text, err := os.ReadFile(filepath.Join(c.dir, withdrawn.File)); err != nil || !strings.HasPrefix(string(text), "# none\n") {
		t.Errorf("%v, the file is %q", err, text)
	}
	for ref, digest := range reg.tags(t) {
		if before, was := fixed[ref]; was && before != digest && strings.Contains(ref, ":2-") {
			t.Errorf("%s points to %s, and pointed to %s", ref, digest, before)
		}
	}
}

// testHonoured checks the commands for two-default:2-4, the present release, which is
// withdrawn.
func testHonoured(t *testing.T, c catalogue, reg *watched) {
	t.Helper()
	record := reg.prefix() + "/two-default:2-4"
	line := record + " was withdrawn on "
	refused := func(want string, args ...string) {
		t.Helper()
		if got := c.run(args...).want(t, 1); !strings.Contains(got.stderr, line) || !strings.Contains(got.stderr, want) {
			t.Errorf("%v, want %s:\n%s", args, want, got.stderr)
		}
	}
	refused("use "+reg.prefix()+"/two-default:2-3", "verify", record, "--key", "cosign.pub")
	refused("use "+reg.prefix()+"/two-default:2-3", "render", record, "--host", "two.example", "--key", "cosign.pub")
	refused("use "+reg.prefix()+"/two-default:2-3", "run", record, "--key", "cosign.pub")
	refused("1 of 3 are withdrawn", "verify", two, "--to", reg.prefix())
	subjects := reg.subjects(t, "two-web-default:2-4")
	at := reg.prefix() + "/two-web-default"
	for _, image := range []string{at + ":2-4", at + "@" + subjects[0].DigestStr(), at + "@" + subjects[1].DigestStr()} {
		if got := c.run("verify", image, "--key", "cosign.pub").want(t, 1); !strings.Contains(got.stderr, image+" was withdrawn on ") {
			t.Errorf("verify %s:\n%s", image, got.stderr)
		}
	}
	var verified []struct {
		Result    string
		Withdrawn *struct{ Date, By, Reason, Instead string }
	}
	if err := json.Unmarshal([]byte(c.run("verify", record, "--key", "cosign.pub", "--json").want(t, 1).stdout), &verified); err != nil {
		t.Fatal(err)
	}
	if w := verified[0].Withdrawn; verified[0].Result != "withdrawn" || w == nil || w.Reason != lossy || w.By != "the key that signed it" && w.By != "cosign.pub" || w.Instead != reg.prefix()+"/two-default:2-3" || len(w.Date) != 10 {
		t.Errorf("verify --json: %+v", w)
	}
	if got := c.run("status", two, "--to", reg.prefix()).want(t, 0); !strings.Contains(got.stdout, "\twithdrawn\t") || !strings.Contains(got.stdout, lossy) {
		t.Errorf("status:\n%s", got.stdout)
	}
	c.run("status", two, "--to", reg.prefix(), "--deep").want(t, 0)
	c.run("check", two, "--to", reg.prefix()).want(t, 0)
	listed := c.run("list", reg.prefix()+"/two-default", "--key", "cosign.pub").want(t, 0)
	if !strings.Contains(listed.stdout, "withdrawn: "+lossy) || strings.Count(listed.stdout, "withdrawn") != 1 {
		t.Errorf("list:\n%s", listed.stdout)
	}
	if got := c.run("show", record, "--key", "cosign.pub").want(t, 0); !strings.Contains(got.stderr, line) {
		t.Errorf("show:\n%s", got.stderr)
	}
	testNewestAndNamed(t, c, reg)
	pages := filepath.Join(t.TempDir(), "site")
	c.run("site", "--to", reg.prefix(), "--output", pages).want(t, 0)
	all := readPages(t, pages)
	gone, left := all["apps/two/default/2-4.html"], all["apps/two/default/2-3.html"]
	if !strings.Contains(gone, "This release was withdrawn. Do not use it.") || !strings.Contains(gone, "Loses messages, &#34;sometimes&#34;.") || strings.Contains(gone, "libre run") || strings.Contains(gone, "podman pull") {
		t.Errorf("the page of the withdrawn release:\n%s", gone)
	}
	if !strings.Contains(left, "podman pull") || strings.Contains(left, "was withdrawn. Do not") {
		t.Errorf("the page of the other release:\n%s", left)
	}
}

// testNewestAndNamed checks the commands while two-default:2-4 is withdrawn: those that read
// the newest release use 2-3, and those that get 2-4 by name warn.
func testNewestAndNamed(t *testing.T, c catalogue, reg *watched) {
	t.Helper()
	record, image, db := reg.prefix()+"/two-default:2-4", reg.prefix()+"/two-web-default:2-4", vulnerable(t, time.Hour)
	for _, args := range [][]string{
		{"scan", record, "--db", db, "--key", "cosign.pub"}, {"sbom", image, "--key", "cosign.pub"}, {"licenses", record, "--key", "cosign.pub"},
		{"vex", record, "--key", "cosign.pub"}, {"diff", record, reg.prefix() + "/two-default:2-3", "--db", db, "--key", "cosign.pub"},
		{"diff", "two", "2-3", "2-4", "--db", db, "--to", reg.prefix()},
	} {
		if got := c.run(args...).want(t, 0); strings.Count(got.stderr, ":2-4 was withdrawn on ") != 1 || !strings.Contains(got.stderr, lossy) || !strings.Contains(got.stderr, ":2-3") {
			t.Errorf("%v:\n%s", args, got.stderr)
		}
	}
	for want, args := range map[string][]string{
		"two-default:2-3":     {"diff", "two", "--db", db, "--to", reg.prefix(), "--json"},
		"two-web-default:2-3": {"scan", "two", "--published", "--db", db, "--to", reg.prefix(), "--json"},
	} {
		if got := c.run(args...).want(t, 0); !strings.Contains(got.stdout, want) || strings.Contains(got.stdout+got.stderr, ":2-4") {
			t.Errorf("%v:\n%s%s", args, got.stdout, got.stderr)
		}
	}
}

// readPages reads the files of a site, by path.
func readPages(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		relative, _ := filepath.Rel(dir, path)
		all[relative] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A release that is withdrawn and not published is refused by every command that would publish
// it.
func TestWithdrawnReleaseIsNotPublished(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.file(t, withdrawn.File, "withdrawn:\n  - {app: two, version: 2-3, reason: Broken., date: 2026-11-29}\n")
	const want = `two-default:2-3 is withdrawn, in withdrawn.yaml: Broken.`
	if got := c.run("push", two, "--to", reg.prefix()).want(t, 3); !strings.Contains(got.stderr, want) || !strings.Contains(got.stderr, "libre withdraw --undo two 2-3") {
		t.Errorf("push:\n%s", got.stderr)
	}
	if len(reg.tags(t)) > 0 {
		t.Errorf("published: %v", reg.tags(t))
	}
	if got := c.run("plan", two, "--to", reg.prefix()).want(t, 0); strings.Count(got.stdout, "\trefuse\t"+want) != 2 {
		t.Errorf("plan:\n%s", got.stdout)
	}
	if got := c.run("check", two, "--to", reg.prefix()).want(t, 1); !strings.Contains(got.stdout, want) {
		t.Errorf("check:\n%s", got.stdout)
	}
}

// A statement by another signer does not count, and is reported.
func TestForeignWithdrawalDoesNotCount(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	other := catalogue{dir: t.TempDir()}
	other.run("keygen", "--output", filepath.Join(other.dir, "cosign")).want(t, 0)
	statement := `{"app":"two","variant":"default","version":9,"withdrawn":[{"version":"2-3","reason":"Use ours.","date":"2026-11-29"}]}`
	record, err := name.NewDigest(reg.prefix() + "/two-default@" + reg.tags(t)["two-default:2-3"])
	if err != nil {
		t.Fatal(err)
	}
	subjects := []name.Digest{record, reg.subjects(t, "two-web-default:2-3")[0]}
	reg.attest(t, other, withdrawn.PredicateType, statement, subjects...)
	for _, image := range []string{"two-default:2-3", "two-web-default:2-3"} {
		got := c.run("verify", reg.prefix()+"/"+image, "--key", "cosign.pub").want(t, 0)
		if !strings.Contains(got.stdout, "an attached withdrawal does not verify and is ignored") {
			t.Errorf("verify %s:\n%s", image, got.stdout)
		}
	}
	if got := c.run("status", two, "--to", reg.prefix()).want(t, 0); !strings.Contains(got.stdout, "\tpublished\t") {
		t.Errorf("status:\n%s", got.stdout)
	}
	// A statement with our signature about another app, or one that cannot be read, does not count
	// either.
	for _, statement := range []string{strings.Replace(statement, `"two"`, `"one"`, 1), `{"version":9,"withdrawn":[{"version":"2-3\u001b","reason":"x","date":"2026-11-29"}]}`, `[]`} {
		reg.attest(t, c, withdrawn.PredicateType, statement, subjects...)
	}
	got := c.run("verify", reg.prefix()+"/two-default:2-3", "--key", "cosign.pub").want(t, 0)
	if !strings.Contains(got.stdout, "an attached withdrawal does not verify and is ignored") {
		t.Errorf("verify:\n%s", got.stdout)
	}
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
}

// Every registry gets the statement, even one that did not answer at first.
func TestWithdrawalsInCopies(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	first, second := newWatched(t, "referrers", sign.Bundle), newWatched(t, "docker-registry", sign.Bundle)
	second.hasCopiesOf(first)
	both := []string{"push", two, "--to", first.prefix(), "--to", second.prefix()}
	c.run(both...).want(t, 0)
	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
	c.run(both...).want(t, 0)
	c.run("withdraw", "two", "2-3", "--reason", lossy, "--to", first.prefix()).want(t, 0)
	c.run("push", two, "--to", first.prefix()).want(t, 0)
	copied := []string{second.prefix() + "/two-default:2-3", "--key", "cosign.pub", "--copy-of", first.prefix()}
	c.run(slices.Concat([]string{"verify"}, copied)...).want(t, 0)
	if got := c.run("status", two, "--to", first.prefix(), "--to", second.prefix()).want(t, 1); !strings.Contains(got.stdout, "\tincomplete\t") {
		t.Errorf("status:\n%s", got.stdout)
	}
	if got := c.run(both...).want(t, 0); !strings.Contains(got.stdout, "\twithdrawn\t"+lossy) {
		t.Errorf("push:\n%s", got.stdout)
	}
	if got := c.run(slices.Concat([]string{"verify"}, copied)...).want(t, 1); !strings.Contains(got.stderr, " was withdrawn on ") {
		t.Errorf("verify:\n%s", got.stderr)
	}
	before := second.count()
	c.run(both...).want(t, 0)
	for _, request := range second.since(before) {
		if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
			t.Errorf("nothing to do, and yet %s", request)
		}
	}
	c.file(t, withdrawn.File, "withdrawn: []\n")
	if got := c.run(both...).want(t, 0); strings.Count(got.stdout, "\treinstated\t") != 2 {
		t.Errorf("push:\n%s", got.stdout)
	}
	c.run(slices.Concat([]string{"verify"}, copied)...).want(t, 0)
	c.run("verify", first.prefix()+"/two-default:2-3", "--key", "cosign.pub").want(t, 0)
}

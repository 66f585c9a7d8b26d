package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/vex"
)

const (
	webImage    = "one-web-default:1.0-1"
	statedFixed = "statements:\n  - {vulnerability: CVE-2026-1, status: not_affected, justification: component_not_present, date: 2026-11-01}\n"
	statedOpen  = "statements:\n  - {vulnerability: CVE-2026-1, status: affected, action: Wait., date: 2026-11-02}\n  - {vulnerability: CVE-2026-2, status: fixed, date: 2026-11-02}\n"
)

// vexOf returns the status of CVE-2026-1 in a subject's newest VEX document, the document's
// version, and the number of documents.
func (w *watched) vexOf(t testing.TB, subject name.Digest) (status vex.Status, version, count int) {
	t.Helper()
	for _, kind := range vex.Types {
		document, err := state.AttestedVEX(context.Background(), w.signing, subject, kind)
		if err != nil {
			t.Fatal(err)
		}
		if kind == vex.CycloneDXType && (document.Version != version || document.Count != count) {
			t.Errorf("%s: version %d of %d CycloneDX documents, version %d of %d OpenVEX documents", subject, document.Version, document.Count, version, count)
		}
		version, count = document.Version, document.Count
	}
	answers, err := state.Answers(context.Background(), w.signing, subject)
	if err != nil {
		t.Fatal(err)
	}
	statement, _ := answers.Answer([]string{"CVE-2026-1"}, "")
	return statement.Status, version, count
}

func (w *watched) wantVEX(t testing.TB, status vex.Status, version, count int) {
	t.Helper()
	for _, subject := range w.subjects(t, webImage) {
		if got, v, n := w.vexOf(t, subject); got != status || v != version || n != count {
			t.Errorf("%s: CVE-2026-1 is %q in version %d of %d documents, want %q in version %d of %d", subject, got, v, n, status, version, count)
		}
	}
}

// Statements about vulnerabilities are attached to published images. No tag and no digest
// changes, and nothing is built. If nothing changed, a push sends as many requests as without
// statements.
func TestStatementsAreAttachedToWhatIsPublished(t *testing.T) {
	t.Parallel()
	for _, format := range []sign.Format{sign.Bundle, sign.Classic} {
		for _, kind := range []string{"referrers", "no referrers", "libre serve", "docker-registry"} {
			t.Run(string(format)+"/"+kind, func(t *testing.T) {
				t.Parallel()
				testStatements(t, format, kind)
			})
		}
	}
}

func testStatements(t *testing.T, format sign.Format, kind string) {
	const selection = "one/*/default"
	c := formatted(t, format).copy(t)
	reg := newWatched(t, kind, format)
	push := func(want string) {
		t.Helper()
		if got := c.run("push", selection, "--to", reg.prefix(), "--output", t.TempDir()+"/none").want(t, 0); !strings.Contains(got.stdout, "one-web-default:1.0-1@") || !strings.Contains(got.stdout, "\t"+want) {
			t.Errorf("push prints, want %s:\n%s", want, got.stdout)
		}
	}
	c.run("push", selection, "--to", reg.prefix()).want(t, 0)
	tags := reg.tags(t)
	idle := func() int {
		t.Helper()
		before := reg.count()
		push("unchanged")
		return len(reg.since(before))
	}
	without := idle()
	reg.wantVEX(t, "", 0, 0)
	verified := func(text, inJSON string) {
		t.Helper()
		if got := c.run("verify", selection, "--to", reg.prefix()).want(t, 0); !strings.Contains(got.stdout, ", signed as "+reg.prefix()+"/"+webImage+", "+text) {
			t.Errorf("verify does not print %q:\n%s", text, got.stdout)
		}
		got := c.run("verify", selection, "--to", reg.prefix(), "--json").want(t, 0)
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(got.stdout)); err != nil || !strings.Contains(compact.String(), inJSON) {
			t.Errorf("verify --json does not print %s:\n%s", inJSON, got.stdout)
		}
	}
	verified("no VEX statements", `"vex":{"statements":0}`)

	c.file(t, "apps/one/vex.yaml", statedFixed)
	for _, command := range []string{"status", "plan"} {
		code := map[string]int{"status": 1}[command]
		if got := c.run(command, selection, "--to", reg.prefix()).want(t, code); !strings.Contains(got.stdout, "lacks vex openvex, vex cyclonedx") {
			t.Errorf("%s:\n%s", command, got.stdout)
		}
	}
	push("attached")
	reg.wantVEX(t, vex.NotAffected, 1, 1)
	if with := idle(); with > without {
		t.Errorf("a push of what is published sends %d requests, %d without statements", with, without)
	}
	verified("1 VEX statement, version 1 of 2026-11-01", `"vex":{"statements":1,"version":1,"timestamp":"2026-11-01T00:00:00Z"}`)
	c.run("status", selection, "--to", reg.prefix()).want(t, 0)

	// A change of the file that does not change its statements changes nothing.
	c.file(t, "apps/one/vex.yaml", "# a comment\n"+statedFixed)
	push("unchanged")

	c.file(t, "apps/one/vex.yaml", statedOpen)
	for _, command := range [][]string{{"status"}, {"status", "--deep"}, {"plan"}} {
		got := c.run(append(command, selection, "--to", reg.prefix())...)
		if !strings.Contains(got.stdout, " lacks up-to-date vex openvex, up-to-date vex cyclonedx") {
			t.Errorf("%s:\n%s%s", command, got.stdout, got.stderr)
		}
	}
	push("attached")
	reg.wantVEX(t, vex.Affected, 2, 1)
	verified("2 VEX statements, version 2 of 2026-11-02", `"vex":{"statements":2,"version":2,"timestamp":"2026-11-02T00:00:00Z"}`)

	// A vulnerability whose statement is removed is open again.
	c.file(t, "apps/one/vex.yaml", "statements: []\n")
	push("attached")
	reg.wantVEX(t, vex.UnderInvestigation, 3, 1)
	verified("2 VEX statements, version 3 of ", `"version":3,`)
	if with := idle(); with > without {
		t.Errorf("after withdrawing, a push sends %d requests, %d without statements", with, without)
	}
	c.file(t, "apps/one/vex.yaml", statedFixed)
	push("attached")
	reg.wantVEX(t, vex.NotAffected, 4, 1)
	for ref, digest := range reg.tags(t) {
		if tags[ref] != digest && !strings.Contains(ref, "sha256-") {
			t.Errorf("%s points to %s, and pointed to %s", ref, digest, tags[ref])
		}
	}
	shown := c.run("vex", reg.prefix()+"/"+webImage, "--key", "cosign.pub").want(t, 0).stdout
	if !strings.Contains(shown, "\tCVE-2026-1\tnot_affected (component_not_present)\tall\t") {
		t.Errorf("libre vex REFERENCE:\n%s", shown)
	}
	var document struct{ Version int }
	printed := c.run("vex", reg.prefix()+"/"+webImage, "--key", "cosign.pub", "-o", "cyclonedx").want(t, 0).stdout
	if err := json.Unmarshal([]byte(printed), &document); err != nil || document.Version != 4 {
		t.Errorf("version %d: %v", document.Version, err)
	}
}

// A registry that deletes nothing has both documents. status reports this, and readers use the
// newest. If a former statement is made again, it gets a new version.
func TestFormerStatementsThatTheRegistryKeeps(t *testing.T) {
	t.Parallel()
	const selection = "one/*/default"
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	reg.setMeddle(func(w http.ResponseWriter, r *http.Request, forward http.HandlerFunc) bool {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/manifests/") {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return true
		}
		return false
	})
	for n, stated := range []string{statedFixed, statedOpen, statedFixed} {
		c.file(t, "apps/one/vex.yaml", stated)
		c.run("push", selection, "--to", reg.prefix()).want(t, 0)
		want := vex.NotAffected
		if n == 1 {
			want = vex.Affected
		}
		reg.wantVEX(t, want, n+1, n+1)
		if got := c.run("push", selection, "--to", reg.prefix()).want(t, 0); strings.Contains(got.stdout, "attached") {
			t.Errorf("nothing changed:\n%s", got.stdout)
		}
	}
	if got := c.run("status", selection, "--to", reg.prefix()).want(t, 0); !strings.Contains(got.stdout, "has 3 VEX documents of a type: the newest counts") {
		t.Errorf("status:\n%s", got.stdout)
	}
}

// A new release gets its documents before its tags, and copies have them too.
func TestStatementsOfNewReleasesAndCopies(t *testing.T) {
	t.Parallel()
	const selection = "one/*/default"
	c := shared(t).copy(t)
	first, second := newWatched(t, "referrers", sign.Bundle), newWatched(t, "no referrers", sign.Bundle)
	second.hasCopiesOf(first)
	c.file(t, "apps/one/vex.yaml", statedFixed)
	to := []string{selection, "--to", first.prefix(), "--to", second.prefix()}
	tagged := false
	first.setMeddle(func(w http.ResponseWriter, r *http.Request, forward http.HandlerFunc) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/one-web-default/manifests/1.0-1") && !tagged {
			tagged = true
			for _, subject := range first.untagged(t, webImage) {
				if got, version, _ := first.vexOf(t, subject); got != vex.NotAffected || version != 1 {
					t.Errorf("%s is tagged, and its VEX document says %q in version %d", subject, got, version)
				}
			}
		}
		return false
	})
	c.run(append([]string{"push"}, to...)...).want(t, 0)
	if !tagged {
		t.Error("no tag was written")
	}
	for _, reg := range []*watched{first, second} {
		reg.wantVEX(t, vex.NotAffected, 1, 1)
	}
	c.file(t, "apps/one/vex.yaml", statedOpen)
	c.run(append([]string{"push"}, to...)...).want(t, 0)
	for _, reg := range []*watched{first, second} {
		reg.wantVEX(t, vex.Affected, 2, 1)
	}
	if got := c.run(append([]string{"push"}, to...)...).want(t, 0); strings.Contains(got.stdout, "attached") {
		t.Errorf("nothing changed:\n%s", got.stdout)
	}
	// The first registry loses its documents. The version does not fall.
	first.detach(t, false, first.subjects(t, webImage), vex.Types...)
	c.run(append([]string{"push"}, to...)...).want(t, 0)
	first.wantVEX(t, vex.Affected, 2, 1)
}

// untagged returns the subjects of an image whose tag is being written.
func (w *watched) untagged(t testing.TB, refName string) []name.Digest {
	t.Helper()
	tag, err := name.NewTag(w.backend + "/" + namespace + "/" + refName)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := name.NewDigest(tag.Context().Name() + "@" + undisturbed(t)[refName])
	if err != nil {
		t.Fatal(err)
	}
	return append(children(t, digest), digest)
}

// A wrong file holds back its app, and no others.
func TestWrongStatementsHoldBackTheirApp(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.file(t, "apps/two/vex.yaml", "statements:\n  - {vulnerability: CVE-2026-1, status: fixed, date: 2026-01-01, expires: 2026-01-02}\n")
	const problem = "apps/two/vex.yaml:2: the statement about CVE-2026-1 expired on 2026-01-02"
	got := c.run("push", "one/*/default", "two", "--to", reg.prefix()).want(t, 3)
	if !strings.Contains(got.stdout+got.stderr, problem) || !strings.Contains(got.stdout, "one-web-default:1.0-1@") {
		t.Errorf("push:\n%s%s", got.stdout, got.stderr)
	}
	if tags := reg.tags(t); strings.Contains(fmt.Sprint(tags), "two-") {
		t.Errorf("the app is published: %v", tags)
	}
	if got := c.run("check", "two", "--to", reg.prefix()).want(t, 1); !strings.Contains(got.stdout, problem) || !strings.Contains(got.stdout, "edit apps/two/vex.yaml") {
		t.Errorf("check:\n%s%s", got.stdout, got.stderr)
	}
	if got := c.run("status", "two", "--to", reg.prefix()).want(t, 1); !strings.Contains(got.stdout, problem) {
		t.Errorf("status:\n%s%s", got.stdout, got.stderr)
	}
}

// libre vex SELECTION prints the documents that push attaches, and names packages that no image
// has.
func TestStatementsBeforeTheyAreAttached(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.file(t, "libre.yaml", "registry: "+reg.prefix()+"\nsign:\n  key: cosign.key\n")
	c.file(t, "apps/one/vex.yaml", statedFixed+"  - {vulnerability: CVE-2026-7, status: fixed, package: 'pkg:golang/absent', date: 2026-11-01}\n")
	table := c.run("vex", "one/*/default").want(t, 0)
	for _, want := range []string{"one/web/default\tCVE-2026-1\tnot_affected (component_not_present)\tall\tapps/one/vex.yaml:2\n", "one/pages/default\tCVE-2026-1\t"} {
		if !strings.Contains(table.stdout, want) {
			t.Errorf("libre vex does not print %q:\n%s", want, table.stdout)
		}
	}
	if want := "apps/one/vex.yaml:3: no selected image contains pkg:golang/absent, so the statement about CVE-2026-7 has no effect"; strings.Count(table.stderr, want) != 1 {
		t.Errorf("libre vex does not warn %q once:\n%s", want, table.stderr)
	}
	c.run("push", "one/*/default").want(t, 0)
	for _, format := range []string{"openvex", "cyclonedx"} {
		before := c.run("vex", "one/web/default", "-o", format).want(t, 0).stdout
		after := c.run("vex", reg.prefix()+"/"+webImage, "--key", "cosign.pub", "-o", format).want(t, 0).stdout
		var want, got bytes.Buffer
		if err := errors.Join(json.Compact(&want, []byte(before)), json.Compact(&got, []byte(after))); err != nil {
			t.Fatal(err)
		}
		if want.String() != got.String() {
			t.Errorf("%s: attached is\n%s\nprinted was\n%s", format, got.String(), want.String())
		}
	}
	release := c.run("vex", reg.prefix()+"/one-default:1.0-1", "--key", "cosign.pub").want(t, 0).stdout
	for _, image := range []string{"one-web-default", "one-api-default", "one-pages-default"} {
		if strings.Count(release, "/"+image+":1.0-1\tCVE-2026-1\t") != 1 {
			t.Errorf("libre vex RELEASE names %s not once:\n%s", image, release)
		}
	}
	c.run("vex", reg.prefix()+"/one-default:1.0-1", "--key", "cosign.pub", "-o", "openvex").want(t, 2)
	// Statements of others do not count.
	other := c.copy(t)
	if got := other.run("keygen", "--output", other.dir+"/other"); got.code != 0 {
		t.Fatal(got.stderr)
	}
	other.run("vex", reg.prefix()+"/"+webImage, "--key", "other.pub").want(t, 1)
}

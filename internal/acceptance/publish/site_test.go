package publish

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/sign"
)

// siteOf writes the page of a catalogue into dir.
func siteOf(c catalogue, reg *watched, dir string, args ...string) outcome {
	return c.run(append([]string{"site", "--output", dir, "--to", reg.prefix(), "--notes=false"}, args...)...)
}

// elements returns the elements of a page that have a class.
func elements(t *testing.T, file, class string) []*html.Node {
	t.Helper()
	page, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	root, err := html.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "class" && slices.Contains(strings.Fields(a.Val), class) {
				all = append(all, n)
			}
		}
	}
	return all
}

// shows returns the text of an element, as words.
func shows(n *html.Node) string {
	var b strings.Builder
	for child := range n.Descendants() {
		if child.Type == html.TextNode {
			b.WriteString(child.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// filesOf reads the files of a folder.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		all[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The facts on the page about each image agree with the registry: the digest, the signature,
// and the numbers of components and vulnerabilities.
func TestSiteClaimsAreTrue(t *testing.T) {
	t.Parallel()
	c, reg := publishedPackages(t, "referrers")
	db := vulnerable(t, time.Hour)
	c.edit(t, "apps/packages/default.nix", `packageVersion = 1`, `packageVersion = 2`)
	c.file(t, "apps/packages/vex.yaml", "statements:\n- vulnerability: CVE-2026-1002\n  status: not_affected\n  justification: vulnerable_code_not_in_execute_path\n  date: 2026-11-01\n")
	c.run("push", "packages/web/default", "--to", reg.prefix()).want(t, 0)
	dir := filepath.Join(t.TempDir(), "public")
	siteOf(c, reg, dir, "--db", db).want(t, 0)

	for _, tag := range []string{"1.0-1", "1.0-2"} {
		page := filepath.Join(dir, "apps/packages/default", tag+".html")
		reference := reg.prefix() + "/packages-default:" + tag
		var verified []struct{ Reference, Kind, Result string }
		if err := json.Unmarshal([]byte(c.run("verify", reference, "--json").want(t, 0).stdout), &verified); err != nil || len(verified) != 2 {
			t.Fatalf("%v %+v", err, verified)
		}
		cards := elements(t, page, "image")
		if len(cards) != 1 {
			t.Fatalf("%s has %d images", page, len(cards))
		}
		_, record, _ := strings.Cut(verified[0].Reference, "@")
		_, image, _ := strings.Cut(verified[1].Reference, "@")
		content, err := os.ReadFile(page)
		if err != nil || !strings.Contains(string(content), "<code>"+record+"</code>") {
			t.Errorf("%s does not name the record %s: %v", page, record, err)
		}
		document, err := sbom.Decode(reg.sbom(t, "packages-web-default:"+tag, state.CycloneDXType))
		if err != nil {
			t.Fatal(err)
		}
		var report scan.Report
		if err := json.Unmarshal([]byte(c.run("scan", reference, "--db", db, "--json").want(t, 0).stdout), &report); err != nil {
			t.Fatal(err)
		}
		open := report.Tally(func(f *scan.Finding) bool { return !f.Settled() })
		wants := []string{"Signature " + verified[1].Result, "Digest " + image, fmt.Sprintf("%d components", len(document.Components)), "linux/amd64"}
		for severity, n := range open.BySeverity {
			wants = append(wants, fmt.Sprintf("%d %s", n, severity))
		}
		for _, want := range wants {
			if !strings.Contains(shows(cards[0]), want) {
				t.Errorf("%s: no %q in %q", tag, want, shows(cards[0]))
			}
		}
		// The second release has a statement about the vulnerability of medium severity.
		if medium := strings.Contains(shows(cards[0]), "1 medium"); medium != (open.BySeverity["medium"] == 1) || medium != (tag == "1.0-1") {
			t.Errorf("%s: %q, and %v", tag, shows(cards[0]), open)
		}
		downloaded, err := os.ReadFile(filepath.Join(dir, "sbom/packages", "packages-web-default."+tag+".linux-amd64.cdx.json"))
		if read, decodeErr := sbom.Decode(downloaded); err != nil || decodeErr != nil || len(read.Components) != len(document.Components) || read.Subject.Manifest != document.Subject.Manifest {
			t.Errorf("the SBOM to download: %v %v", err, decodeErr)
		}
	}
	testSiteCommands(t, dir)
	again := filepath.Join(t.TempDir(), "again")
	siteOf(c, reg, again, "--db", db).want(t, 0)
	if !maps.Equal(filesOf(t, dir), filesOf(t, again)) {
		t.Error("the same releases have other pages")
	}
}

// testSiteCommands runs libre's commands from the newest release's page, in a folder that only
// has the public key.
func testSiteCommands(t *testing.T, dir string) {
	t.Helper()
	operator := catalogue{dir: t.TempDir()}
	key, err := os.ReadFile(filepath.Join(dir, "cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(operator.dir, "cosign.pub"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, command := range elements(t, filepath.Join(dir, "apps/packages.html"), "command") {
		for n := range command.Descendants() {
			if n.Data != "code" {
				continue
			}
			for line := range strings.Lines(n.FirstChild.Data) {
				words := strings.Fields(line)
				if words[0] == "libre" {
					operator.run(words[1:]...).want(t, 0)
					ran++
				}
			}
		}
	}
	if ran != 2 {
		t.Errorf("%d commands ran, want verify and diff", ran)
	}
}

// For a release whose signature does not verify, the page shows the reference and the digest,
// and nothing from the release itself. A registry that does not answer changes nothing.
func TestSiteBelievesNothingThatDoesNotVerify(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	c.edit(t, "apps/two/default.nix", `version = "2";`, `version = "2"; meta.description = "TELLTALE";`)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	dir := filepath.Join(t.TempDir(), "public")
	siteOf(c, reg, dir).want(t, 0)
	if page := filesOf(t, dir)["apps/two.html"]; !strings.Contains(page, "TELLTALE") || strings.Contains(page, "does not verify") {
		t.Errorf("before:\n%s", page)
	}
	c.edit(t, "apps/two/default.nix", "TELLTALE", "quiet")

	image := reg.subjects(t, "two-web-default:2-3")
	reg.detach(t, false, image[:1], sign.SignatureType)
	got := siteOf(c, reg, dir).want(t, 0)
	cards := elements(t, filepath.Join(dir, "apps/two/default/2-3.html"), "image")
	if text := shows(cards[1]); !strings.Contains(text, "This image does not verify.") || !strings.Contains(text, image[0].DigestStr()) || strings.Contains(text, "component") {
		t.Errorf("an image without a signature: %q", text)
	}
	if text := shows(cards[0]); !strings.Contains(text, "Signature verified") || !strings.Contains(got.stderr, "two-web-default:2-3 does not verify") {
		t.Errorf("its sibling: %q\n%s", text, got.stderr)
	}

	record := reg.subjects(t, "two-default:2-3")
	reg.detach(t, false, record, sign.SignatureType)
	got = siteOf(c, reg, dir).want(t, 0)
	after := filesOf(t, dir)
	for name, content := range after {
		if strings.Contains(content, "TELLTALE") || strings.HasPrefix(name, "sbom/") {
			t.Errorf("%s believes a release without a signature", name)
		}
	}
	if page := after["apps/two/default/2-3.html"]; !strings.Contains(page, record[0].DigestStr()) || !strings.Contains(page, "two-default:2-3") || !strings.Contains(page, "This release does not verify.") || !strings.Contains(got.stderr, "two-default:2-3 does not verify") {
		t.Errorf("a release without a signature:\n%s\n%s", page, got.stderr)
	}

	reg.setMeddle(func(rw http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		rw.WriteHeader(http.StatusInternalServerError)
		return true
	})
	got = siteOf(c, reg, dir).want(t, 1)
	if errors := nonEmptyLines(got.stderr); got.stdout != "" || !strings.HasPrefix(errors[len(errors)-1], "error: ") || strings.Count(got.stderr, "error: ") != 1 {
		t.Errorf("a registry that is broken:\n%s%s", got.stdout, got.stderr)
	}
	if !maps.Equal(after, filesOf(t, dir)) {
		t.Error("a registry that is broken changes the pages")
	}
}

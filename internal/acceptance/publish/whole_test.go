package publish

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// These are the numbers of images and records of definitions. Tests that publish often use
// the default variants only.
const (
	allImages, allRecords         = 13, 5
	defaultImages, defaultRecords = 5, 2
	defaults                      = "*/*/default"
)

// Published references exist as printed, in every kind of registry and in both formats.
// They verify, and are not published again.
func TestPublishedIsWhatWasPrintedAndIsNotPublishedAgain(t *testing.T) {
	t.Parallel()
	for _, format := range []sign.Format{sign.Bundle, sign.Classic} {
		for _, kind := range kinds {
			t.Run(fmt.Sprint(format, "/", kind), func(t *testing.T) {
				t.Parallel()
				c := formatted(t, format)
				c.alone = true
				reg := newWatched(t, kind, format)
				selection, images, records := defaults, defaultImages, defaultRecords
				if format == sign.Bundle && kind == "referrers" {
					selection, images, records = "*/*/*", allImages, allRecords
				}
				if status := c.run("status", selection, "--to", reg.prefix()).want(t, 0); strings.Count(status.stdout, "\tnot published\t") != records {
					t.Errorf("status before:\n%s", status.stdout)
				}
				pushed := c.run("push", selection, "--to", reg.prefix()).want(t, 0)
				printed := printedDigests(pushed, "published")
				if len(printed) != images+records {
					t.Fatalf("%d references, want %d images and %d records\n%s", len(printed), images, records, pushed.stdout)
				}
				if diff := cmp.Diff(reg.tags(t), printed); diff != "" {
					t.Errorf("tags in the registry, and printed: %s", diff)
				}
				want := undisturbed(t)
				for reference, digest := range printed {
					if want[reference] != digest && !isRecord(reference) {
						t.Errorf("%s is %s here and %s elsewhere", reference, digest, want[reference])
					}
				}
				reg.audit(t)

				for _, args := range [][]string{{"status", selection}, {"status", selection, "--deep"}} {
					status := c.run(append(args, "--to", reg.prefix())...).want(t, 0)
					if strings.Count(status.stdout, "\tpublished\t") != records {
						t.Errorf("libre %s:\n%s", strings.Join(args, " "), status.stdout)
					}
				}
				verified := c.run("verify", selection, "--to", reg.prefix()).want(t, 0)
				if strings.Count(verified.stdout, "\tverified\t") != images+records || strings.Count(verified.stdout, "provenance, tag, signed as "+reg.prefix()+"/") != images {
					t.Errorf("libre verify:\n%s", verified.stdout)
				}
				testShow(t, c, reg)
				testAgain(t, c, reg, selection, images, records)
			})
		}
	}
}

// testShow reads a record, which is not shown if it does not verify.
func testShow(t *testing.T, c catalogue, reg *watched) {
	t.Helper()
	record := readRecord(t, c, reg, "one-default:1.0-1")
	if record.Registry != reg.prefix() {
		t.Errorf("the record is for %q", record.Registry)
	}
	want := undisturbed(t)
	if record.App != "one" || record.Variant != "default" || record.Version != "1.0" || record.PackageVersion != 1 || len(record.Components) != 3 {
		t.Errorf("the record: %+v", record)
	}
	for name, component := range record.Components {
		if component.Reference.String() != "one-"+name+"-default:1.0-1" || component.Digest != want[component.Reference.String()] || component.Systems["linux/amd64"] == "" {
			t.Errorf("component %s: %+v", name, component)
		}
	}
	if web := record.Components["web"]; web.Ports["http"] != 8080 || web.Health != "/healthz" || web.License != "MIT" {
		t.Errorf("component web: %+v", web)
	}
	web := record.Components["web"]
	if check := web.HealthCheck; web.Ports["quic"] != 443 || len(web.Protocols) != 1 || web.Protocols["quic"] != "udp" ||
		check == nil || check.Port != "http" || check.Interval != 30 {
		t.Errorf("component web: %+v", web)
	}
	pages := record.Components["pages"]
	said := strings.Join(slices.Concat([]string{pages.User, pages.StopSignal}, pages.ExposedPorts, pages.Volumes), " ")
	if check := pages.HealthCheck; said != "3:4 SIGQUIT 443/udp 53/udp 8000/tcp 8080/tcp /data" || check == nil || check.Command[0] != "/check" || check.Interval != 30 {
		t.Errorf("component pages: %s, %+v", said, pages)
	}
	other := catalogue{dir: t.TempDir()}
	base := filepath.Join(other.dir, "other")
	other.run("keygen", "--output", base).want(t, 0)
	if got := other.run("show", reg.prefix()+"/one-default:1.0-1", "--key", base+".pub"); got.code == 0 || got.stdout != "" {
		t.Errorf("shown to another key: %d\n%s", got.code, got.stdout)
	}
}

// testAgain pushes published images. For each image it expects one HEAD and the lists of
// attachments of its index and manifest, for each record at most four requests, and no
// writes.
func testAgain(t *testing.T, c catalogue, reg *watched, selection string, images, records int) {
	t.Helper()
	before := reg.count()
	again := c.run("push", selection, "--to", reg.prefix()).want(t, 0)
	if printed := printedDigests(again, "unchanged"); len(printed) != images+records {
		t.Errorf("pushed again:\n%s", again.stdout)
	}
	heads, reads, lists, asked, tagged := 0, 0, 0, 0, 0
	for _, request := range reg.since(before) {
		method, address, _ := strings.Cut(request, " ")
		repository, _, _ := strings.Cut(strings.TrimPrefix(address, "/v2/"+namespace+"/"), "/")
		isRecords := isRecord(repository)
		if strings.Contains(address, "/referrers/") {
			asked++
		} else if strings.Contains(address, "/manifests/sha256-") {
			tagged++
		}
		switch {
		case method == "HEAD":
			heads++
		case method == "GET" && !isRecords && (strings.Contains(address, "/referrers/") || strings.Contains(address, "/manifests/sha256-") || strings.Contains(address, "/blobs/")):
			lists++
		case method == "GET":
			reads++
		default:
			t.Errorf("nothing to do, and yet %s", request)
		}
	}
	if asked > 0 && tagged > 0 { // a run finds out once that there is no referrers API
		if asked != 2 {
			t.Errorf("%d requests for the referrers API, which there is not", asked)
		}
		heads-- // of what it asks about
	}
	// In the format classic a list is two lists and the signature.
	if heads != images || lists > 3*2*images || reads > 4*records {
		t.Errorf("%d HEADs and %d lists for %d images, %d other requests for %d records", heads, lists, images, reads, records)
	}
}

var printedLine = regexp.MustCompile(`(?m)^[^/\s]+/` + namespace + `/(\S+:\S+)@(sha256:[0-9a-f]{64})\t(\S+)\t`)

// printedDigests returns the references that push printed with a state: name:tag → digest.
func printedDigests(o outcome, state string) map[string]string {
	printed := map[string]string{}
	for _, line := range printedLine.FindAllStringSubmatch(o.stdout, -1) {
		if line[3] == state {
			printed[line[1]] = line[2]
		}
	}
	return printed
}

// undisturbed returns the tags that an undisturbed run publishes, for all variants.
func undisturbed(t testing.TB) map[string]string {
	t.Helper()
	c := shared(t)
	pushUndisturbed.Do(func() {
		reg := newWatched(t, "referrers", sign.Bundle)
		c.run("push", "--all", "--to", reg.prefix()).want(t, 0)
		undisturbedTags = reg.tags(t)
	})
	if undisturbedTags == nil {
		t.Fatal("the catalogue could not be published")
	}
	return undisturbedTags
}

// butRecords compares tags in two registries without records, which name their registry.
var butRecords = cmp.FilterPath(func(p cmp.Path) bool {
	at, is := p.Last().(cmp.MapIndex)
	return is && isRecord(at.Key().String())
}, cmp.Comparer(func(_, _ string) bool { return true }))

var (
	pushUndisturbed sync.Once
	undisturbedTags map[string]string
)

// undisturbedDefaults returns the same for the default variants only.
func undisturbedDefaults(t testing.TB) map[string]string {
	only := map[string]string{}
	for reference, digest := range undisturbed(t) {
		if strings.Contains(reference, "-default:") {
			only[reference] = digest
		}
	}
	return only
}

// skopeo and buildah pull every image and get the printed digests.
func TestSkopeoAndBuildahPullThePrintedDigests(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "skopeo")
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := shared(t)
			reg := newWatched(t, kind, sign.Bundle)
			printed := printedDigests(c.run("push", defaults, "--to", reg.prefix()).want(t, 0), "published")
			storage := t.TempDir()
			for reference, digest := range printed {
				from := "docker://" + reg.prefix() + "/" + reference
				raw := libre.Tool(t, "skopeo", "inspect", "--raw", "--tls-verify=false", from)
				if got := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(raw))); got != digest {
					t.Errorf("skopeo inspect %s: %s, printed was %s", reference, got, digest)
				}
				if isRecord(reference) {
					continue
				}
				to := filepath.Join(storage, "copy")
				libre.Tool(t, "skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", from, "oci:"+to+":pulled")
				var index struct{ Manifests []struct{ Digest string } }
				text, err := os.ReadFile(filepath.Join(to, "index.json"))
				if err == nil {
					err = json.Unmarshal(text, &index)
				}
				if err != nil || len(index.Manifests) != 1 || index.Manifests[0].Digest != digest {
					t.Errorf("skopeo copy %s: %s, %v", reference, text, err)
				}
				if err := os.RemoveAll(to); err != nil {
					t.Fatal(err)
				}
				pullWithBuildah(t, storage, reg.prefix()+"/"+reference, digest)
			}
		})
	}
}

// isRecord reports whether a reference is a record, APP-VARIANT:TAG, and not an image of
// definitions.
func isRecord(reference string) bool {
	name, _, _ := strings.Cut(reference, ":")
	return strings.Count(name, "-") == 1
}

func pullWithBuildah(t *testing.T, storage, reference, digest string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	flags := []string{"--root", filepath.Join(storage, "root"), "--runroot", filepath.Join(storage, "run"), "--storage-driver", "vfs"}
	repository := reference[:strings.LastIndex(reference, ":")]
	byTag := libre.Tool(t, "buildah", append(flags, "pull", "--quiet", "--tls-verify=false", "docker://"+reference)...)
	byDigest := libre.Tool(t, "buildah", append(flags, "pull", "--quiet", "--tls-verify=false", "docker://"+repository+"@"+digest)...)
	if byTag != byDigest {
		t.Errorf("buildah pulls %s by its tag and %s by the printed digest", byTag, byDigest)
	}
}

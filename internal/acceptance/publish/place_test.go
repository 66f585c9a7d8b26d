package publish

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

// bring copies the target of a tag with its children and all attachments, as anybody with
// push access can. from and to are repositories with their registries.
func bring(t testing.TB, from, to, tag string) {
	t.Helper()
	bringAs(t, from, tag, to, tag)
}

// bringAs does the same under another tag.
func bringAs(t testing.TB, from, fromTag, to, tag string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	source, err := name.NewRepository(from)
	check(err)
	target, err := name.NewRepository(to)
	check(err)
	put := func(reference, as name.Reference) *remote.Descriptor {
		t.Helper()
		got, err := remote.Get(reference)
		check(err)
		if got.MediaType.IsIndex() {
			index, err := got.ImageIndex()
			check(err)
			check(remote.WriteIndex(as, index))
			return got
		}
		image, err := got.Image()
		check(err)
		check(remote.Write(as, image))
		return got
	}
	got := put(source.Tag(fromTag), target.Tag(tag))
	subjects := []name.Digest{source.Digest(got.Digest.String())}
	if got.MediaType.IsIndex() {
		subjects = append(subjects, children(t, subjects[0])...)
	}
	for _, subject := range subjects {
		attached, err := remote.Referrers(subject)
		check(err)
		list, err := attached.IndexManifest()
		check(err)
		for _, has := range list.Manifests {
			put(source.Digest(has.Digest.String()), target.Digest(has.Digest.String()))
		}
	}
}

// A release that is signed for staging does not count as signed in production, wherever
// somebody copies it: to another namespace or another registry. Every command that reads it
// prints one line with a fix. A copy is accepted if it is listed.
func TestStagingIsNotTakenForProduction(t *testing.T) {
	t.Parallel()
	shared := shared(t)
	reg, other := newWatched(t, "referrers", ""), newWatched(t, "referrers", "")
	staging := reg.host + "/staging"
	shared.run("push", two, "--to", staging).want(t, 0)
	for what, production := range map[string]string{
		"a namespace": reg.host + "/production", "a namespace below": staging + "/production", "none": reg.host, "a registry": other.host + "/staging",
	} {
		t.Run(what, func(t *testing.T) {
			for _, repository := range []string{"two-web-default", "two-job-default", "two-default"} {
				bring(t, staging+"/"+repository, production+"/"+repository, "2-3")
			}
			c := shared.copy(t)
			record, image := production+"/two-default", production+"/two-web-default"
			for command, code := range map[string]int{
				"verify two --to " + production:                     1,
				"verify " + record + ":2-3":                         1,
				"verify " + image + ":2-3":                          1,
				"verify " + image + ":2-3 --copy-of " + reg.host:    1,
				"verify " + record + ":2-3 --copy-of " + production: 1,
				"show " + record + ":2-3":                           1,
				"list " + record + " --key cosign.pub":              1,
				"list " + image + " --key cosign.pub":               1,
				"status " + two + " --to " + production:             1,
				"plan " + two + " --to " + production:               0,
				"check " + two + " --to " + production:              1,
				"push " + two + " --to " + production:               3,
				"push " + two + " --dry-run --to " + production:     3,
				"verify " + two + " --rebuild --to " + production:   1,
				"push two --also-tag latest --to " + production:     3,
				"push two/web/default --to " + production:           3,
				"verify " + record + ":2-3 --copy-of " + other.host: 1,
			} {
				got := c.run(strings.Fields(command)...).want(t, code)
				for _, part := range []string{"it is signed for " + staging + "/two-", ", not for " + production + "/two-", "copyTo: [" + production + "]", "copies: [{of: " + staging + ", in: " + production + "}]", "--copy-of " + staging} {
					if !strings.Contains(got.stdout+got.stderr, part) {
						t.Errorf("libre %s does not say %q:\n%s%s", command, part, got.stdout, got.stderr)
					}
				}
			}
			accepted := func(args ...string) {
				t.Helper()
				got := c.run(append([]string{"verify", record + ":2-3"}, args...)...).want(t, 0)
				if strings.Count(got.stdout, "\tverified\t") != 3 || strings.Count(got.stdout, ", signed as "+staging+"/two-") != 3 {
					t.Errorf("verify of a copy %v:\n%s", args, got.stdout)
				}
				shown := c.run(append([]string{"show", record + ":2-3"}, args...)...).want(t, 0)
				if !strings.Contains(shown.stderr, "signed as "+staging+"/two-default:2-3") || !strings.Contains(shown.stdout, `"registry": "`+staging+`"`) {
					t.Errorf("show of a copy %v:\n%s%s", args, shown.stderr, shown.stdout)
				}
			}
			accepted("--copy-of", staging)
			c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n  copies: [{of: "+staging+", in: "+production+"}]\n")
			accepted()
			c.run("status", two, "--to", production).want(t, 0)
			if got := c.run("push", two, "--to", production).want(t, 0); strings.Count(got.stdout, "\tunchanged\t") != 3 {
				t.Errorf("pushed where it is a copy:\n%s", got.stdout)
			}
			c.file(t, "libre.yaml", "registry: "+staging+"\nsign:\n  key: cosign.key\n  copies: ["+production+"]\n")
			accepted()
			c.file(t, "libre.yaml", "registry: "+staging+"\ncopyTo: ["+production+"]\nsign:\n  key: cosign.key\n")
			accepted()
			c.file(t, "libre.yaml", "registry: "+production+"\nsign:\n  key: cosign.key\n  copies: [mirror.example/coop]\n")
			c.run("verify", record+":2-3").want(t, 1)
			c.run("push", two, "--force").want(t, 0)
			verified := c.run("verify", record+":2-3").want(t, 0)
			if strings.Count(verified.stdout, ", signed as "+production+"/two-") != 3 {
				t.Errorf("pushed in earnest:\n%s", verified.stdout)
			}
		})
	}
}

// Records of older versions of libre do not name a registry, and have no application
// document. They stay published. Their signatures name the registry, so that a copy is
// refused, too.
func TestRecordsOfOlderVersionsStayValid(t *testing.T) {
	t.Run("no registry", func(t *testing.T) { checkOlderRecord(t, func(r *state.Record) { r.Registry = "" }) })
	t.Run("no document", func(t *testing.T) {
		checkOlderRecord(t, func(r *state.Record) { r.Registry, r.Application = "", nil })
	})
}

func checkOlderRecord(t *testing.T, older func(*state.Record)) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", "")
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	record := readRecord(t, c, reg, "two-default:2-3")
	present, err := name.NewDigest(reg.prefix() + "/two-default@" + reg.tags(t)["two-default:2-3"])
	if err != nil {
		t.Fatal(err)
	}
	older(&record)
	client, err := registry.NewClient(reg.prefix(), registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	artifact := registry.Artifact{Type: state.RecordType, Content: append(text, '\n'), Annotations: map[string]string{
		"org.opencontainers.image.title": "two-default", "org.opencontainers.image.version": "2-3",
		"sh.libre.app": "two", "sh.libre.variant": "default", "sh.libre.app-version": "2", "sh.libre.package-version": "3",
	}}
	ctx := context.Background()
	digest, err := client.PushArtifact(ctx, catalog.ParseRef("two-default:2-3"), artifact)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sign.Config{Key: c.key()}.Signer(ctx, sign.Prompts{Password: func(bool) ([]byte, error) { return []byte(password), nil }})
	if err == nil {
		_, err = sign.NewClient(client, sign.Limits{}).Sign(ctx, signer, digest)
	}
	if err == nil {
		err = client.SetTag(ctx, catalog.ParseRef("two-default:2-3"), digest)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.run("status", two, "--to", reg.prefix()).want(t, 0)
	if got := c.run("push", two, "--to", reg.prefix()).want(t, 0); strings.Count(got.stdout, "\tunchanged\t") != 3 {
		t.Errorf("pushed again:\n%s", got.stdout)
	}
	verified := c.run("verify", reg.prefix()+"/two-default:2-3").want(t, 0)
	if !strings.Contains(verified.stdout, "signed as "+reg.prefix()+"/two-default:2-3") {
		t.Errorf("verify:\n%s", verified.stdout)
	}
	if shown := c.run("show", reg.prefix()+"/two-default:2-3").want(t, 0); strings.Contains(shown.stdout, `"registry"`) {
		t.Errorf("shown is what it does not say:\n%s", shown.stdout)
	}
	document := c.run("show", reg.prefix()+"/two-default:2-3", "-o", "yaml")
	if record.Application == nil {
		if document.want(t, 1); !strings.Contains(document.stderr, "was published without an application document: publish its next package version") {
			t.Errorf("show -o yaml:\n%s", document.stderr)
		}
	} else if document.want(t, 0); !strings.Contains(document.stdout, "digest: "+record.Components["web"].Digest) {
		t.Errorf("show -o yaml:\n%s", document.stdout)
	}
	// The record is found again without its tag.
	reg.forget(t, "two-default", "2-3")
	reg.lose(present)
	if got := c.run("push", two, "--to", reg.prefix()).want(t, 0); !strings.Contains(got.stdout, digest.DigestStr()) {
		t.Errorf("the record that was signed is not found:\n%s", got.stdout)
	}
	reg.setMeddle(nil)
	production := reg.host + "/production/two-default"
	bring(t, reg.prefix()+"/two-default", production, "2-3")
	if got := c.run("verify", production+":2-3").want(t, 1); !strings.Contains(got.stderr, "it is signed for "+reg.prefix()+"/two-default") {
		t.Errorf("a copy:\n%s", got.stderr)
	}
}

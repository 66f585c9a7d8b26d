package publish

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
)

// Somebody deletes attachments of published images in one of many ways. status names the
// missing ones and the command that attaches them again, plan says that push would do it,
// and push does it without building any image. Afterwards everything verifies as before.
func TestMissingAttachmentsAreAttachedAgain(t *testing.T) {
	t.Parallel()
	shared := shared(t)
	const web, pages, record = "one-web-default:1.0-1", "one-pages-default:1.0-1", "one-default:1.0-1"
	for _, kind := range []string{"referrers", "no referrers"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			byTag := kind == "no referrers"
			reg := newWatched(t, kind, sign.Bundle)
			reg.lenient = true
			c := shared.copy(t)
			const selection = "one/*/default"
			c.run("push", selection, "--to", reg.prefix()).want(t, 0)
			for _, test := range []struct {
				name   string
				attack func(t *testing.T)
				status string   // the state
				action string   // the action that plan prints for one of the images
				names  []string // what status names
			}{
				{"an image's signature", func(t *testing.T) { reg.detach(t, byTag, reg.subjects(t, web)[:1], sign.SignatureType) },
					"incomplete", "attach", []string{"/" + web + " lacks signature"}},
				{"one SBOM", func(t *testing.T) { reg.detach(t, byTag, reg.subjects(t, web)[:1], state.SPDXType) },
					"incomplete", "attach", []string{"/" + web + " lacks sbom spdx"}},
				{"both SBOMs wherever they are", func(t *testing.T) {
					reg.detach(t, byTag, reg.subjects(t, web), state.SPDXType, state.CycloneDXType)
				}, "incomplete", "attach", []string{"/" + web + " lacks sbom cyclonedx, sbom spdx", "and 1 more"}},
				{"the provenance of a Containerfile's image", func(t *testing.T) { reg.detach(t, byTag, reg.subjects(t, pages), state.ProvenanceType) },
					"incomplete", "attach", []string{"/" + pages + " lacks provenance"}},
				{"all that a platform's manifest carries", func(t *testing.T) { reg.detach(t, byTag, reg.subjects(t, web)[1:], everything...) },
					"incomplete", "attach", []string{"/" + web + " (linux/amd64) lacks signature, sbom cyclonedx, sbom spdx, provenance"}},
				{"all of an image", func(t *testing.T) { reg.detach(t, byTag, reg.subjects(t, web), everything...) },
					"incomplete", "attach", []string{"/" + web + " lacks signature, sbom cyclonedx, sbom spdx, provenance"}},
				{"all of a Containerfile's image", func(t *testing.T) { reg.detach(t, byTag, reg.subjects(t, pages), everything...) },
					"incomplete", "attach", []string{"/" + pages + " lacks signature, sbom cyclonedx, sbom spdx, provenance"}},
				{"all of all images", func(t *testing.T) {
					for _, image := range []string{web, pages, "one-api-default:1.0-1"} {
						reg.detach(t, byTag, reg.subjects(t, image), everything...)
					}
				}, "incomplete", "attach", []string{"lacks signature, sbom cyclonedx, sbom spdx, provenance", "and 5 more"}},
				{"the record's signature", func(t *testing.T) { reg.detach(t, byTag, reg.subjects(t, record), sign.SignatureType) },
					"not signed", "sign", []string{"is not signed"}},
				{"the record's signature, and SBOMs", func(t *testing.T) {
					reg.detach(t, byTag, reg.subjects(t, record), sign.SignatureType)
					reg.detach(t, byTag, reg.subjects(t, pages), state.SPDXType)
				}, "not signed", "sign", []string{"is not signed"}},
				{"all signatures", func(t *testing.T) {
					for _, of := range []string{record, web, pages} {
						reg.detach(t, byTag, reg.subjects(t, of), sign.SignatureType)
					}
				}, "not signed", "sign", []string{"is not signed"}},
				{"a signature, for one that nobody made", func(t *testing.T) {
					subject := reg.subjects(t, web)[0]
					reg.detach(t, byTag, []name.Digest{subject}, sign.SignatureType)
					reg.forge(t, byTag, subject, reg.subjects(t, pages)[0], sign.SignatureType)
				}, "incomplete", "attach", []string{"/" + web + " lacks signature"}},
			} {
				t.Run(test.name, func(t *testing.T) {
					before := map[string]map[string][]string{}
					for _, image := range []string{web, pages} {
						for _, subject := range reg.subjects(t, image) {
							before[subject.String()] = reg.said(t, subject)
						}
					}
					tags := reg.tags(t)
					test.attack(t)

					if got := c.run("verify", selection, "--to", reg.prefix()).want(t, 1); !strings.Contains(got.stderr, "libre push") && test.status == "incomplete" {
						t.Errorf("verify does not say what to type:\n%s", got.stderr)
					}
					status := c.run("status", selection, "--to", reg.prefix()).want(t, 1)
					for _, part := range append(test.names, "\t"+test.status+"\t") {
						if !strings.Contains(status.stdout, part) {
							t.Errorf("status does not say %q:\n%s", part, status.stdout)
						}
					}
					if test.status == "incomplete" {
						if !strings.Contains(status.stdout, "attach it again with: libre push 'one/*/default'") {
							t.Errorf("status:\n%s", status.stdout)
						}
						var all []struct {
							Lacks []struct {
								Reference, Digest, Platform string
								Kinds                       []string
							}
						}
						printed := c.run("status", selection, "--to", reg.prefix(), "--json").want(t, 1).stdout
						if err := json.Unmarshal([]byte(printed), &all); err != nil || len(all) != 1 || len(all[0].Lacks) == 0 || len(all[0].Lacks[0].Kinds) == 0 {
							t.Errorf("status --json: %v\n%s", err, printed)
						}
					}
					if planned := c.run("plan", selection, "--to", reg.prefix()).want(t, 0); !strings.Contains(planned.stdout, "\t"+test.action+"\t") {
						t.Errorf("plan:\n%s", planned.stdout)
					}
					empty := filepath.Join(t.TempDir(), "dist")
					dry := c.run("push", selection, "--to", reg.prefix(), "--output", empty, "--dry-run").want(t, 0)
					if strings.Contains(dry.stdout, "\tattached\t") {
						t.Errorf("push --dry-run:\n%s", dry.stdout)
					}
					pushed := c.run("push", selection, "--to", reg.prefix(), "--output", empty).want(t, 0)
					if test.status == "incomplete" && !strings.Contains(pushed.stdout, "\tattached\t") {
						t.Errorf("push:\n%s", pushed.stdout)
					}
					if _, err := os.Stat(empty); err == nil {
						t.Errorf("something was built:\n%s%s", pushed.stdout, pushed.stderr)
					}
					if diff := cmp.Diff(tags, reg.tags(t)); diff != "" {
						t.Errorf("tags: %s", diff)
					}
					for _, image := range []string{web, pages} {
						for _, subject := range reg.subjects(t, image) {
							if diff := cmp.Diff(before[subject.String()], reg.said(t, subject)); diff != "" {
								t.Errorf("SBOMs of %s are not as they were: %.2000s", subject, diff)
							}
						}
					}
					c.run("verify", selection, "--to", reg.prefix()).want(t, 0)
					c.run("status", selection, "--to", reg.prefix()).want(t, 0)
					reg.audit(t)
					again := c.run("push", selection, "--to", reg.prefix()).want(t, 0)
					if strings.Count(again.stdout, "\tunchanged\t") != 4 {
						t.Errorf("once more:\n%s", again.stdout)
					}
				})
			}
		})
	}
}

// Without the referrers API, attachments are in a list at a tag. Anybody with push access
// can replace it with an older or empty list, a list of missing manifests, or something
// else.
func TestReplacedListsAreNamedAndWrittenAgain(t *testing.T) {
	t.Parallel()
	c := shared(t)
	reg := newWatched(t, "docker-registry", sign.Bundle)
	reg.lenient = true
	const web, record = "two-web-default:2-3", "two-default:2-3"
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	for name, attack := range map[string]struct {
		of    []name.Digest
		list  func(now []v1.Descriptor) []v1.Descriptor
		state string
	}{
		"older":              {reg.subjects(t, web)[:1], func(now []v1.Descriptor) []v1.Descriptor { return now[:1] }, "incomplete"},
		"older, of all":      {reg.subjects(t, web), func(now []v1.Descriptor) []v1.Descriptor { return now[2:] }, "incomplete"},
		"empty":              {reg.subjects(t, web)[1:], func([]v1.Descriptor) []v1.Descriptor { return nil }, "incomplete"},
		"empty, of all":      {reg.subjects(t, web), func([]v1.Descriptor) []v1.Descriptor { return nil }, "incomplete"},
		"empty, of a record": {reg.subjects(t, record), func([]v1.Descriptor) []v1.Descriptor { return nil }, "not signed"},
		"of something else": {reg.subjects(t, web)[:1], func([]v1.Descriptor) []v1.Descriptor {
			got, err := remote.Head(reg.subjects(t, web)[1])
			if err != nil {
				t.Fatal(err)
			}
			return []v1.Descriptor{*got}
		}, "incomplete"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, subject := range attack.of {
				reg.list(t, subject, attack.list(attached(t, subject)))
			}
			if status := c.run("status", two, "--to", reg.prefix()).want(t, 1); !strings.Contains(status.stdout, "\t"+attack.state+"\t") {
				t.Errorf("status:\n%s", status.stdout)
			}
			c.run("push", two, "--to", reg.prefix()).want(t, 0)
			c.run("verify", two, "--to", reg.prefix()).want(t, 0)
			c.run("status", two, "--to", reg.prefix()).want(t, 0)
			reg.audit(t)
		})
	}
}

// Attachments that are missing in one of two registries are copied from the other one.
// Nothing is signed again.
func TestMissingAttachmentsAreCopiedFromTheOtherRegistry(t *testing.T) {
	t.Parallel()
	c := shared(t)
	reg, mirror := newWatched(t, "referrers", sign.Bundle), newWatched(t, "no referrers", sign.Bundle)
	reg.lenient, mirror.lenient = true, true
	mirror.hasCopiesOf(reg)
	to := []string{"--to", reg.prefix(), "--to", mirror.prefix()}
	c.run(append([]string{"push", two}, to...)...).want(t, 0)
	layers := func(w *watched, refName string) []string {
		t.Helper()
		var all []string
		for _, subject := range w.subjects(t, refName) {
			for _, has := range attached(t, subject) {
				image, err := remote.Image(subject.Context().Digest(has.Digest.String()))
				if err != nil {
					t.Fatal(err)
				}
				manifest, err := image.Manifest()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, subject.DigestStr()+" "+manifest.Layers[0].Digest.String())
			}
		}
		slices.Sort(all)
		return all
	}
	const web, record = "two-web-default:2-3", "two-default:2-3"
	for name, attack := range map[string]struct {
		in      *watched
		byTag   bool
		refName string
		kinds   []string
		names   string
	}{
		"all of an image in the first":       {reg, false, web, everything, "/" + web + " lacks signature, sbom cyclonedx, sbom spdx, provenance"},
		"a signature in the first":           {reg, false, web, []string{sign.SignatureType}, "/" + web + " lacks signature"},
		"all of an image in the copy":        {mirror, true, web, everything, "/" + web + " lacks signature, sbom cyclonedx, sbom spdx, provenance"},
		"provenance in the copy":             {mirror, true, web, []string{state.ProvenanceType}, "/" + web + " lacks provenance"},
		"the record's signature in the copy": {mirror, true, record, []string{sign.SignatureType}, "/" + record + " lacks signature"},
	} {
		t.Run(name, func(t *testing.T) {
			before := layers(attack.in, attack.refName)
			attack.in.detach(t, attack.byTag, attack.in.subjects(t, attack.refName), attack.kinds...)
			status := c.run(append([]string{"status", two}, to...)...).want(t, 1)
			if !strings.Contains(status.stdout, "\tincomplete\t") || !strings.Contains(status.stdout, attack.in.prefix()+attack.names) {
				t.Errorf("status:\n%s", status.stdout)
			}
			if planned := c.run(append([]string{"plan", two}, to...)...).want(t, 0); !strings.Contains(planned.stdout, "\tattach\t") {
				t.Errorf("plan:\n%s", planned.stdout)
			}
			if pushed := c.run(append([]string{"push", two}, to...)...).want(t, 0); !strings.Contains(pushed.stdout, "\tattached\t") {
				t.Errorf("push:\n%s", pushed.stdout)
			}
			if diff := cmp.Diff(before, layers(attack.in, attack.refName)); diff != "" {
				t.Errorf("signed again: %s", diff)
			}
			c.run(append([]string{"status", two}, to...)...).want(t, 0)
			reg.audit(t)
			mirror.audit(t)
		})
	}
}

// A listed SBOM or provenance by another signer is not noticed in the list. status --deep
// reads it, and push --deep attaches the right one.
func TestForgedAttachmentsAreReplaced(t *testing.T) {
	t.Parallel()
	c := shared(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	reg.lenient = true
	const web, job = "two-web-default:2-3", "two-job-default:2-3"
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	for _, kind := range attestations {
		subject, other := reg.subjects(t, web)[0], reg.subjects(t, job)[0]
		reg.detach(t, false, []name.Digest{subject}, kind)
		reg.forge(t, false, subject, other, kind)
		const mend = "attach it again with: libre push 'two/*/default' --deep"
		if got := c.run("verify", two, "--to", reg.prefix()).want(t, 1); !strings.Contains(got.stderr, mend) {
			t.Errorf("verify:\n%s", got.stderr)
		}
		if got := c.run("status", two, "--to", reg.prefix(), "--deep").want(t, 1); !strings.Contains(got.stdout, "\tnot valid\t") || !strings.Contains(got.stdout, mend) {
			t.Errorf("status --deep:\n%s", got.stdout)
		}
		if got := c.run("push", two, "--to", reg.prefix(), "--deep").want(t, 0); !strings.Contains(got.stdout, "\tattached\t") {
			t.Errorf("push --deep:\n%s", got.stdout)
		}
		c.run("verify", two, "--to", reg.prefix()).want(t, 0)
		c.run("status", two, "--to", reg.prefix(), "--deep").want(t, 0)
	}
}

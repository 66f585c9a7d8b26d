package publish

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/testkit"
)

// Old releases are deleted from a real registry, and the remaining ones verify.
func TestOldReleasesArePruned(t *testing.T) {
	t.Parallel()
	prefix := testkit.DeletingRegistry(t, t.TempDir()) + "/coop"
	c := threeReleases(t, prefix)
	plan := filepath.Join(c.dir, "prune.json")
	find := func(want string) {
		t.Helper()
		got := c.run("prune", "--all", "--keep", "1", "--to", prefix, "--plan", plan).want(t, 0)
		for _, tag := range []string{"2-3", "2-4"} {
			if !strings.Contains(got.stdout, "two-default:"+tag+"\t"+want) {
				t.Errorf("%s, want %s:\n%s", tag, want, got.stdout)
			}
		}
	}
	find("stays\t\tit is younger than 7 days\n")
	makeOlder(t, prefix, "two-default", "two-web-default", "two-job-default")
	find("goes\t")
	c.run("verify", "--all", "--to", prefix).want(t, 0)
	deleted := c.run("prune", "--yes", plan, "--to", prefix).want(t, 0)
	if strings.Count(deleted.stdout, "\tdeleted\t") != 2 || !strings.HasSuffix(deleted.stderr, "2 releases deleted; the registry frees the bytes when it collects its garbage\n") {
		t.Errorf("printed:\n%s%s", deleted.stdout, deleted.stderr)
	}
	c.run("verify", "--all", "--to", prefix).want(t, 0)
	c.run("status", "--all", "--deep", "--to", prefix).want(t, 0)
	client, err := registry.NewClient(prefix, registry.Options{})
	check(t, err)
	for _, repository := range []string{"two-default", "two-web-default", "two-job-default"} {
		tags, err := client.Tags(t.Context(), repository)
		check(t, err)
		for _, tag := range tags {
			if tag == "2-3" || tag == "2-4" {
				t.Errorf("%s has %q", repository, tags)
			}
		}
	}
	c.run("prune", "--yes", plan, "--to", prefix).want(t, 0)
	if content, err := os.ReadFile(plan); err != nil || !json.Valid(content) {
		t.Errorf("%s: %v", content, err)
	}
}

// threeReleases returns a catalogue. Its app two has the releases 2-3, 2-4 and 2-5 in a
// registry.
func threeReleases(t *testing.T, prefix string) catalogue {
	t.Helper()
	c := newCatalogue(t, map[string]string{"two/default.nix": definitions["two/default.nix"]}, "x86_64-linux")
	c.file(t, "libre.yaml", "sign:\n  key: cosign.key\n")
	for version := 3; version <= 5; version++ {
		if version > 3 {
			c.edit(t, "apps/two/default.nix", fmt.Sprint("packageVersion = ", version-1), fmt.Sprint("packageVersion = ", version))
		}
		c.run("push", "--all", "--to", prefix).want(t, 0)
	}
	return c
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// makeOlder sets the date of all attachments to a month ago. The date is not signed.
func makeOlder(t *testing.T, prefix string, repositories ...string) {
	t.Helper()
	client, err := registry.NewClient(prefix, registry.Options{})
	check(t, err)
	for _, repository := range repositories {
		tags, err := client.Tags(t.Context(), repository)
		check(t, err)
		for _, tag := range tags {
			if !strings.HasPrefix(tag, "sha256-") {
				continue
			}
			at, err := name.NewTag(prefix + "/" + repository + ":" + tag)
			check(t, err)
			got, err := client.Get(t.Context(), at)
			check(t, err)
			var list v1.IndexManifest
			check(t, json.Unmarshal(got.Content, &list))
			for i := range list.Manifests {
				older(t, client, at, &list.Manifests[i])
			}
			content, err := json.Marshal(list)
			check(t, err)
			check(t, client.PutManifest(t.Context(), at, types.OCIImageIndex, content))
		}
	}
}

func monthAgo() string { return time.Now().Add(-30 * 24 * time.Hour).UTC().Format(time.RFC3339) }

// older writes an attachment with an older date.
func older(t *testing.T, client *registry.Client, list name.Tag, attachment *v1.Descriptor) {
	t.Helper()
	const created = "org.opencontainers.image.created"
	was := attachment.Annotations[created]
	at := monthAgo()
	got, err := client.Get(t.Context(), list.Context().Digest(attachment.Digest.String()))
	check(t, err)
	content := strings.Replace(string(got.Content), was, at, 1)
	if was == "" || content == string(got.Content) {
		t.Fatalf("an attachment without a date: %s", got.Content)
	}
	digest, size, err := v1.SHA256(strings.NewReader(content))
	check(t, err)
	check(t, client.PutManifest(t.Context(), list.Context().Digest(digest.String()), got.MediaType, []byte(content)))
	attachment.Digest, attachment.Size, attachment.Annotations[created] = digest, size, at
}

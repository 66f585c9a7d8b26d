package build

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// One image for two systems is an index with two manifests, each with a program of its own
// architecture. If an image does not exist for one system, one line says so.
func TestImageForTwoSystemsIsOneIndex(t *testing.T) {
	t.Parallel()
	if machine() != "x86_64-linux" {
		t.Skip("cross-compiles from x86_64-linux")
	}
	c := demo(t)
	dist := filepath.Join(libre.TempDir(t), "dist")
	stdout, stderr := c.libre(t, "build", "guestbook/base/d*", "guestbook/frontend/default", "--system", "x86_64-linux,aarch64-linux", "--output", dist, "--json")

	index := openIndex(t, dist, "guestbook-base-default:1.0.0-1")
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	machines := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}
	if got := platforms(t, dist, "guestbook-base-default:1.0.0-1"); !slices.Equal(got, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("platforms %v", got)
	}
	for platform, want := range machines {
		img := openImage(t, dist, "guestbook-base-default:1.0.0-1", platform)
		config := configOf(t, img)
		if got := config.OS + "/" + config.Architecture; got != platform {
			t.Errorf("the configuration is for %s, want %s", got, platform)
		}
		program, err := elf.NewFile(bytes.NewReader([]byte(readTree(t, img).text(t, config.Config.Entrypoint[0]))))
		if err != nil {
			t.Fatal(err)
		}
		if program.Machine != want {
			t.Errorf("%s: the program is for %s, want %s", platform, program.Machine, want)
		}
	}

	// Without busybox for aarch64 there is no debug image, and no image that is built in
	// one.
	skipped := map[string]string{
		"guestbook/base/debug":       "has no debug tools",
		"guestbook/frontend/default": "base guestbook/base/debug has no debug tools",
	}
	for _, reference := range []string{"guestbook-base-debug:1.0.0-1", "guestbook-frontend-default:1.0.0-1"} {
		if got := platforms(t, dist, reference); !slices.Equal(got, []string{"linux/amd64"}) {
			t.Errorf("%s: platforms %v, want linux/amd64 alone", reference, got)
		}
	}
	for image, reason := range skipped {
		if got := strings.Count(stderr, image+": skipped for aarch64-linux: "+reason); got != 1 {
			t.Errorf("%s: said %d times that it is skipped for aarch64-linux:\n%s", image, got, stderr)
		}
	}
	if got := strings.Count(stderr, "skipped for aarch64-linux"); got != len(skipped) {
		t.Errorf("%d images are said not to be for aarch64-linux, want %d:\n%s", got, len(skipped), stderr)
	}
	var results []struct {
		Image   string
		Skipped []struct{ System, Reason string }
	}
	if err := json.Unmarshal([]byte(stdout), &results); err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		reason, want := skipped[result.Image]
		if got := len(result.Skipped) == 1; got != want {
			t.Errorf("%s: skipped %v", result.Image, result.Skipped)
		} else if want && (result.Skipped[0].System != "aarch64-linux" || !strings.HasPrefix(result.Skipped[0].Reason, reason)) {
			t.Errorf("%s: skipped %+v, want aarch64-linux, %s", result.Image, result.Skipped, reason)
		}
	}
}

// platforms lists the platforms in an image's index, in its order.
func platforms(t *testing.T, dist, reference string) []string {
	t.Helper()
	manifest, err := openIndex(t, dist, reference).IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range manifest.Manifests {
		names = append(names, d.Platform.String())
	}
	return names
}

//go:build interop

package kit

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/libresh/libre/internal/testkit"
)

// followed are images that somebody runs, the tags that there are, and what each preset
// proposes: new tags with the kind of update.
var followed = []struct{ repository, runs, tags, libre, repack string }{
	{"lasuite/newer", "1.2.3-4", "1.2.3-4 1.2.3-5 1.2.4-1", "1.2.4-1 patch", "1.2.3-5 patch"},
	{"lasuite/repacked", "1.2.3-4", "1.2.3-3 1.2.3-4 1.2.3-5", "1.2.3-5 patch", "1.2.3-5 patch"},
	{"lasuite/newest", "1.2.4-1", "1.2.3-4 1.2.3-5 1.2.4-1", "", ""},
	{"lasuite/tenth", "1.2.3-9", "1.2.3-9 1.2.3-10", "1.2.3-10 patch", "1.2.3-10 patch"},
	{"lasuite/same-suffix", "1.2.3-4", "1.2.3-4 1.2.4-4 1.2.5-1", "1.2.5-1 patch", ""},
	{"lasuite/minor", "1.2.3-4", "1.2.3-4 1.3.0-1 1.10.0-1", "1.10.0-1 minor", ""},
	{"lasuite/major", "17-1", "17-1 17-2 18-1", "17-2 patch, 18-1 major", "17-2 patch"},
	{"lasuite/four", "28.0.4.1-2", "28.0.4-9 28.0.4.1-2 28.0.4.1-3", "28.0.4.1-3 patch", "28.0.4.1-3 patch"},
	{"lasuite/four-to-three", "28.0.4.1-2", "28.0.4-9 28.0.4.1-2 28.0.5-1", "28.0.5-1 patch", ""},
	{"lasuite/three-to-four", "28.0.4-9", "28.0.4-9 28.0.4.1-2", "28.0.4.1-2 patch", ""},
	{"lasuite/candidate", "2025.1-rc1-3", "2025.1-rc1-3 2025.1-rc1-4", "2025.1-rc1-4 patch", "2025.1-rc1-4 patch"},
	{"lasuite/released", "2025.1-rc1-3", "2025.1-rc1-3 2025.1-rc1-4 2025.1-1", "2025.1-1 patch", "2025.1-rc1-4 patch"},
	{"lasuite/no-candidates", "2024.1-1", "2024.1-1 2025.1-rc1-3", "", ""},
	{"lasuite/moving", "1.2.3-4", "1.2.3-4 1.2.3-5 1 1.2 1.3 2 latest sha256-0f.sig", "1.2.3-5 patch", "1.2.3-5 patch"},
	{"lasuite/words", "1.2.3-ce-1", "1.2.3-ce-1 1.2.3-ce-2", "", "1.2.3-ce-2 patch"},
	{"others/same-suffix", "1.2.3-4", "1.2.3-4 1.2.4-4 1.2.5-1", "1.2.4-4 patch", "1.2.4-4 patch"}, // Renovate without a preset
}

// Renovate itself, with each preset, looks the images up in a registry.
func TestInteropRenovateFollowsTags(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	compose := "services:\n"
	for i, image := range followed {
		publish(t, host+"/"+image.repository, strings.Fields(image.tags))
		compose += fmt.Sprintf("  s%d:\n    image: %s/%s:%s\n", i, host, image.repository, image.runs)
	}
	presets, err := Renovate(Places{Registries: []string{host + "/lasuite"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, preset := range presets {
		t.Run(preset.Name, func(t *testing.T) {
			want := map[string]string{}
			for _, image := range followed {
				want[host+"/"+image.repository] = []string{image.libre, image.repack}[i]
			}
			if diff := cmp.Diff(want, lookUp(t, host, preset, compose)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Renovate's own validator accepts the presets, with no warning and nothing to migrate.
func TestInteropRenovateValidatesPresets(t *testing.T) {
	for name, places := range map[string]Places{"one": one, "copies": copied} {
		t.Run(name, func(t *testing.T) {
			presets, err := Renovate(places)
			if err != nil {
				t.Fatal(err)
			}
			for _, preset := range presets {
				if out, err := validate(t, preset.Content); err != nil {
					t.Errorf("%s: %v\n%s", preset.Name, err, out)
				}
			}
		})
	}
	if out, err := validate(t, []byte(`{"packageRules": [{"matchDatasource": ["docker"], "versioning": "pep440"}]}`)); err == nil {
		t.Errorf("a misspelt word is accepted:\n%s", out)
	}
}

func validate(t *testing.T, preset []byte) ([]byte, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "preset.json")
	if err := os.WriteFile(file, preset, 0o644); err != nil {
		t.Fatal(err)
	}
	return testkit.Renovate(t, "config-validator", "--strict", "--no-global", file).CombinedOutput()
}

// lookUp gives what Renovate proposes for each image of a compose file.
func lookUp(t *testing.T, host string, preset File, compose string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string][]byte{"renovate.json": preset.Content, "compose.yaml": []byte(compose)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	renovate := testkit.Renovate(t, "renovate", "--platform=local", "--dry-run=lookup")
	renovate.Dir = dir
	renovate.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LOG_FORMAT=json", "LOG_LEVEL=debug", "RENOVATE_BASE_DIR=" + t.TempDir(),
		`RENOVATE_HOST_RULES=[{"matchHost": "` + host + `", "insecureRegistry": true}]`,
	}
	out, said, err := testkit.Output(renovate)
	if err != nil {
		t.Fatalf("renovate: %v\n%s%s", err, out, said)
	}
	for line := range strings.Lines(out) {
		var entry struct {
			Message string `json:"msg"`
			Config  map[string][]struct {
				Deps []struct {
					Name       string `json:"depName"`
					SkipReason string
					Updates    []struct{ NewValue, UpdateType, NewDigest string }
				}
			}
		}
		// Another line may have another type under a name.
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Message != "packageFiles with updates" {
			continue
		}
		found := map[string]string{}
		for _, dep := range entry.Config["docker-compose"][0].Deps {
			var all []string
			for _, update := range dep.Updates {
				if update.UpdateType == "pinDigest" {
					continue // of what runs
				}
				all = append(all, update.NewValue+" "+update.UpdateType)
				if strings.Contains(dep.Name, "/lasuite/") && update.NewDigest == "" {
					t.Errorf("%s:%s is not pinned", dep.Name, update.NewValue)
				}
			}
			found[dep.Name] = strings.Join(all, ", ") + dep.SkipReason
		}
		return found
	}
	t.Fatalf("renovate found nothing:\n%s", out)
	return nil
}

func publish(t *testing.T, repository string, tags []string) {
	t.Helper()
	var image v1.Image
	for _, tag := range tags {
		reference, err := name.ParseReference(repository + ":" + tag)
		if err == nil {
			image, err = random.Image(8, 1)
		}
		if err == nil {
			err = remote.Write(reference, image)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

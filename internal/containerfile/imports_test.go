package containerfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Builds that start at the same time on one image, under several names, never see it half
// imported.
func TestBuildsImportAnImageOneAtATime(t *testing.T) {
	dist := catalogueLayout(t, "base", busyboxIndex(t))
	withEngines(t, func(t *testing.T, e Engine) {
		if e.Name == "docker" {
			return // libre has no storage for it
		}
		s := newStorage(t, e)
		var builds sync.WaitGroup
		for n := range 8 {
			name := fmt.Sprintf("images.example/base%d", n)
			req := request(t, write(t, map[string]string{"Containerfile": "FROM " + name + "\nLABEL n=1\n"}), map[string]Origin{name: {Layout: dist}})
			builds.Go(func() {
				if _, err := NewBuilder(e, s).Build(t.Context(), req); err != nil {
					t.Error(describe(err))
				}
			})
		}
		builds.Wait()
	})
}

// podman fails to look at one image while another build makes another: it is asked again.
func TestImagesThatOtherBuildsMakeDoNotDisturb(t *testing.T) {
	dist := catalogueLayout(t, "base", busyboxIndex(t))
	eachEngine(t, func(t *testing.T, e Engine) {
		dir := t.TempDir()
		wrapper, failed := filepath.Join(dir, e.Name), filepath.Join(dir, "failed")
		script := fmt.Sprintf(`#!/bin/sh
for of in pull inspect tag; do
  case " $* " in *" $of "*) ;; *) continue;; esac
  [ "$(grep -c $of %[1]s)" -lt 2 ] || continue
  echo $of >> %[1]s
  echo 'Error: locating item named "manifest" for image with ID "b0b8" (consider removing the image to resolve the issue): file does not exist' >&2
  exit 125
done
exec %[2]s "$@"
`, failed, e.Path)
		for path, content := range map[string]string{wrapper: script, failed: ""} {
			if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		req := request(t, write(t, map[string]string{"Containerfile": "FROM base\nLABEL n=1\n"}), map[string]Origin{"base": {Layout: dist}})
		if _, err := NewBuilder(Engine{Name: e.Name, Path: wrapper, Version: e.Version}, newStorage(t, e)).Build(t.Context(), req); err != nil {
			t.Error(describe(err))
		}
		if text, err := os.ReadFile(failed); err != nil || strings.Count(string(text), "tag") != 2 {
			t.Errorf("the engine failed for %q, %v", text, err)
		}
	})
}

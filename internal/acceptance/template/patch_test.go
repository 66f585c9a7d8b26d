package template

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const lyonBrand = "Livre d'or de Lyon"

// lyon.patch applies exactly, with each program that may apply it, and replaces all of the
// default brand.
func TestLyonPatchReplacesTheWholeBrand(t *testing.T) {
	programs := map[string]func(t *testing.T) []string{
		"GNU patch": func(t *testing.T) []string { return []string{requireTool(t, "patch"), "--fuzz=0"} },
		"busybox":   func(t *testing.T) []string { return []string{requireTool(t, "busybox"), "patch"} },
	}
	original := readTree(t, copyGuestbook(t))
	colors := brandColors(t, original)
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			command := program(t)
			dir := copyGuestbook(t)
			patchWith(t, dir, command...)
			patched := readTree(t, dir)

			for path, text := range patched {
				if _, ok := original[path]; !ok {
					t.Errorf("%s: a file that the patch left behind", path)
				}
				if path == "lyon.patch" {
					continue
				}
				for _, color := range colors {
					if strings.Contains(text, color) {
						t.Errorf("%s still has the default colour %s", path, color)
					}
				}
			}
			for path, wants := range map[string][]string{
				"backend/brand.go":    {`brandName  = "` + lyonBrand + `"`},
				"frontend/index.html": {"<title>" + lyonBrand + "</title>", "<h1>" + lyonBrand + "</h1>"},
			} {
				for _, want := range wants {
					if !strings.Contains(patched[path], want) {
						t.Errorf("%s lacks %s", path, want)
					}
				}
			}
			if got, want := colorIn(t, patched["frontend/theme.css"]), colorIn(t, patched["backend/brand.go"]); got != want {
				t.Errorf("the pages have the colour %s, the backend %s", got, want)
			}
		})
	}
}

// brandColors returns all colours of the default theme.
func brandColors(t *testing.T, tree map[string]string) []string {
	t.Helper()
	theme := tree["frontend/theme.css"]
	colors := regexp.MustCompile(`#[0-9a-f]{6}`).FindAllString(theme, -1)
	if want := colorIn(t, tree["backend/brand.go"]); len(colors) == 0 || colors[0] != want {
		t.Fatalf("theme.css has the colours %v, the backend %s", colors, want)
	}
	return colors
}

// colorIn returns the first colour in text.
func colorIn(t *testing.T, text string) string {
	t.Helper()
	color := regexp.MustCompile(`#[0-9a-f]{6}`).FindString(text)
	if color == "" {
		t.Fatalf("no colour in:\n%s", text)
	}
	return color
}

// readTree returns the contents of all files below dir by their relative path.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		tree[relative] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

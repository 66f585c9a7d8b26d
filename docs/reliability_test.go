package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page names all fuzz tests, each in its package, and tests that exist.
func TestReliabilityNamesWhatThereIs(t *testing.T) {
	page, err := os.ReadFile("reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	there := testNames(t)
	for _, name := range regexp.MustCompile(`\bTest\w+`).FindAllString(string(page), -1) {
		if !there[name] {
			t.Errorf("there is no test %s", name)
		}
	}
	var named []string
	for _, group := range regexp.MustCompile("([a-z/]+): (`Fuzz[^;|]+)").FindAllStringSubmatch(string(page), -1) {
		for _, name := range regexp.MustCompile(`Fuzz\w+`).FindAllString(group[2], -1) {
			named = append(named, group[1]+" "+name)
		}
	}
	slices.Sort(named)
	if want := fuzzTests(t); !slices.Equal(named, want) {
		t.Errorf("named: %s\nthere: %s", strings.Join(named, ", "), strings.Join(want, ", "))
	}
}

// fuzzTests are all fuzz tests, as PACKAGE NAME, sorted.
func fuzzTests(t *testing.T) (all []string) {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	err := filepath.WalkDir("../internal", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range function.FindAllSubmatch(text, -1) {
			all = append(all, strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../internal/")+" "+string(found[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

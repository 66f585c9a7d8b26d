// Package docs has no code: its tests hold the documents against the code.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the pages promise is shown by tests that there are, one a row at least.
func TestPagesNameTestsThatExist(t *testing.T) {
	there := testNames(t)
	for path, atLeast := range map[string]int{"compatibility.md": 50, "../SECURITY.md": 0} {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`\bTest\w+`).FindAllString(string(page), -1)
		if len(named) < atLeast {
			t.Errorf("%s names %d tests, expected %d or more", path, len(named), atLeast)
		}
		for _, name := range named {
			if !there[name] {
				t.Errorf("%s: there is no test %s", path, name)
			}
		}
	}
}

// Each row of promises names the test that shows it.
func TestEveryPromiseNamesATest(t *testing.T) {
	page, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, promises, ok := strings.Cut(string(page), "\n## What is promised\n")
	if !ok {
		t.Fatal("SECURITY.md promises nothing")
	}
	for _, line := range strings.Split(promises, "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.TrimSpace(cells[0]) == "promise" {
			continue
		}
		if !strings.Contains(cells[len(cells)-1], "`Test") {
			t.Errorf("no test in the last column: %s", line)
		}
	}
}

// testNames are the names of all tests of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, found := range function.FindAllSubmatch(code, -1) {
			there[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}

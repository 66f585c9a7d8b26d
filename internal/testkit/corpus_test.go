package testkit

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// make test runs each fuzz test with the inputs below testdata/fuzz: real ones, and those that
// failed once.
func TestEveryFuzzTestHasACorpus(t *testing.T) {
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	function := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	corpora := map[string]bool{} // of fuzz tests that exist
	var kept []string
	err = filepath.WalkDir(filepath.Join(root, "internal"), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasSuffix(filepath.Dir(path), filepath.Join("testdata", "fuzz")) {
			kept = append(kept, path)
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, test := range function.FindAllStringSubmatch(string(text), -1) {
			corpus := filepath.Join(filepath.Dir(path), "testdata", "fuzz", test[1])
			corpora[corpus] = true
			if inputs, err := os.ReadDir(corpus); err != nil || len(inputs) < 3 {
				t.Errorf("%s has %d inputs in %s", test[1], len(inputs), corpus)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, corpus := range kept {
		if !corpora[corpus] {
			t.Errorf("%s is the corpus of no fuzz test", corpus)
		}
	}
}

package testkit

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// make interop runs the tests named TestInterop…, and make test those in files without the
// build tag. A test with another name or tag would never run.
func TestInteropNamesGoWithTheBuildTag(t *testing.T) {
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	tests := regexp.MustCompile(`(?m)^func (Test\w*)\(t \*testing\.T\)`)
	tagged := 0
	for _, top := range []string{"cmd", "internal", "nix"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "apart_test.go" {
				return err
			}
			text, err := os.ReadFile(path)
			apart := strings.HasPrefix(string(text), "//go:build interop\n")
			for _, test := range tests.FindAllStringSubmatch(string(text), -1) {
				if strings.HasPrefix(test[1], "TestInterop") != apart {
					t.Errorf("%s: %s, and the file begins with //go:build interop: %v", path, test[1], apart)
				}
			}
			if apart {
				tagged++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if tagged == 0 {
		t.Error("no file has the build tag")
	}
}

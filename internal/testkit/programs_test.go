package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

func TestProgramsAreBuiltOnceARun(t *testing.T) {
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	program := filepath.Join(bin, "describe")
	for _, test := range []struct {
		name, run string
		built     bool
	}{
		{"the first package of a run", "1 100", true},
		{"the next package of it", "1 100", false},
		{"another run", "2 100", true},
		{"a run with the process ID of an earlier one", "2 300", true},
		{"no run of go test", "", true},
		{"once more none", "", true},
	} {
		if err := os.WriteFile(program, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := buildOnce(root, bin, test.run, "./nix/describe"); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		if built := info.Size() > 0; built != test.built {
			t.Errorf("%s: built is %v", test.name, built)
		}
	}
	if testRun() == "" {
		t.Error("the go test that runs this test is not found")
	}
}

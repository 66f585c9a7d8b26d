package testkit

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed validate.cjs
var validateScript []byte

// npmPackages are CycloneDX's official validator and the packages that it needs for JSON.
var npmPackages = []string{
	"@cyclonedx/cyclonedx-library@10.3.0", "ajv@8.17.1", "ajv-formats@3.0.1", "ajv-formats-draft2019@1.6.1",
}

// Validate checks JSON files. For the schema "cyclonedx" it uses CycloneDX's official library
// with version 1.6, strictly; otherwise schema is a file with a JSON Schema. The library is
// installed if all tests must run, and kept.
func Validate(t *testing.T, schema string, files ...string) {
	t.Helper()
	library := npmLibrary(t)
	script := filepath.Join(t.TempDir(), "validate.cjs")
	if err := os.WriteFile(script, validateScript, 0o644); err != nil {
		t.Fatal(err)
	}
	validate := exec.Command("node", append([]string{script, schema}, files...)...)
	validate.Dir = library
	if out, err := validate.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", schema, err, out)
	}
}

// npmLibrary returns the folder in which the validator is installed.
func npmLibrary(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			Needed(t, false, program)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		Needed(t, false, "a cache folder")
	}
	library := filepath.Join(cache, "libre-test", "npm", "cyclonedx-library-10.3.0")
	if _, err := os.Stat(library); err != nil {
		Needed(t, all(), library)
		installNPM(t, library)
	}
	return library
}

// installNPM installs the packages into a temporary folder beside the final one, and renames
// it, so that a killed test leaves nothing incomplete.
func installNPM(t *testing.T, folder string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	work, err := os.MkdirTemp(filepath.Dir(folder), "install-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(work)
	install := append([]string{"install", "--prefix", work, "--ignore-scripts", "--no-audit", "--no-fund"}, npmPackages...)
	if out, err := exec.Command("npm", install...).CombinedOutput(); err != nil {
		t.Fatalf("npm: %v\n%s", err, out)
	}
	if err := os.Rename(work, folder); err != nil {
		if _, there := os.Stat(folder); there != nil {
			t.Fatal(err)
		}
	}
}

//go:build interop

package testkit

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// moduleProxy serves one version of a module with a program.
func moduleProxy(t *testing.T, module, version, main string) {
	t.Helper()
	goMod := "module " + module + "\n"
	var archive bytes.Buffer
	files := zip.NewWriter(&archive)
	for name, content := range map[string]string{"go.mod": goMod, "cmd/tool/main.go": main} {
		file, err := files.Create(module + "@" + version + "/" + name)
		if err == nil {
			_, err = file.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{
		"list":            version + "\n",
		version + ".info": fmt.Sprintf(`{"Version":%q}`, version), version + ".mod": goMod, version + ".zip": archive.String(),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, known := answers[strings.TrimPrefix(r.URL.Path, "/"+module+"/@v/")]
		if !known {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	t.Setenv("GOPROXY", server.URL)
	t.Setenv("GONOSUMDB", "*")
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOFLAGS", os.Getenv("GOFLAGS")+" -modcacherw") // so that the folder can be removed
}

// Tests that need a tool at the same time wait for one build of it.
func TestInteropToolIsBuiltOnce(t *testing.T) {
	moduleProxy(t, "example.org/tools", "v1.2.3", `package main; func main() { println("I am a tool") }`)
	compiler := countBuilds(t)
	folder := filepath.Join(t.TempDir(), "libre-tools")
	var group sync.WaitGroup
	paths := make([]string, 4)
	for i := range paths {
		group.Go(func() {
			var err error
			if paths[i], err = goProgram(folder, "example.org/tools/cmd/tool", "v1.2.3"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, path := range paths {
		if path != paths[0] || !strings.HasPrefix(filepath.Base(path), "tool-v1.2.3-go1.") {
			t.Errorf("the tool is %s, want TOOL-VERSION-GO as all", path)
		}
	}
	if out, err := exec.Command(paths[0]).CombinedOutput(); err != nil || string(out) != "I am a tool\n" {
		t.Errorf("it says %q, %v", out, err)
	}
	if built := compiler(); built != 1 {
		t.Errorf("built %d times, want once", built)
	}
}

// A failed build leaves nothing that the next test would use as the tool.
func TestInteropToolThatDoesNotBuild(t *testing.T) {
	moduleProxy(t, "example.org/broken", "v1.0.0", "package main; func main() { nonsense }")
	folder := filepath.Join(t.TempDir(), "libre-tools")
	for range 2 {
		if path, err := goProgram(folder, "example.org/broken/cmd/tool", "v1.0.0"); err == nil || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("got %q, %v; want what the compiler says", path, err)
		}
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind beside the lock: %v, %v", left, err)
	}
}

// countBuilds puts a go before the real one. It returns a function that returns the number of
// calls.
func countBuilds(t *testing.T) func() int {
	t.Helper()
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >> %s\nexec %s \"$@\"\n", calls, real)
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() int {
		text, err := os.ReadFile(calls)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "\n")
	}
}

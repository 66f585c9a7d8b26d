package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Programs builds libre and its helpers, and returns their folder, which is the checkout's own
// bin. All packages of one run of `go test` use the same build.
var Programs = sync.OnceValues(func() (string, error) {
	root, err := checkout()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, "bin")
	return bin, buildOnce(root, bin, testRun(), "./cmd/...")
})

// buildOnce builds packages into a folder, unless the same run has already built them. A run
// without a name always builds.
func buildOnce(root, bin, run string, packages string) error {
	unlock, err := lock(filepath.Join(bin, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	builtBy := filepath.Join(bin, ".run")
	if last, err := os.ReadFile(builtBy); err == nil && run != "" && string(last) == run {
		return nil
	}
	build := exec.Command("go", "build", "-o", bin+"/", packages)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building libre: %w\n%s", err, out)
	}
	return os.WriteFile(builtBy, []byte(run), 0o644)
}

// testRun returns an ID of the `go test` that started this process: its process ID and its
// start time, in clock ticks since boot. It returns "" if another program started the test,
// because that program may run while the code changes many times.
func testRun() string {
	dir := fmt.Sprintf("/proc/%d/", os.Getppid())
	program, err := os.Readlink(dir + "exe")
	if err != nil || filepath.Base(program) != "go" {
		return ""
	}
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return ""
	}
	// proc(5): the name in parentheses may have spaces; starttime is field 22.
	fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fmt.Sprintf("%d %s", os.Getppid(), fields[19])
}

// copyPrograms copies the programs into a folder, where later builds do not change them.
func copyPrograms(to string) error {
	bin, err := Programs()
	if err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(bin, "libre*"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(name)), content, 0o755)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkout returns the folder of this module, in which tests run.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the checkout: no go.mod above the tests")
		}
	}
}

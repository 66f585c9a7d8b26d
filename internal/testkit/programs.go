package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Programs builds libre and its helpers and gives the folder they are in: the
// checkout's own bin, so that the tests of many packages link them once.
var Programs = sync.OnceValues(func() (string, error) {
	root, err := checkout()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, "bin")
	unlock, err := lock(filepath.Join(bin, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/...")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building libre: %w\n%s", err, out)
	}
	return bin, nil
})

// copyPrograms copies them into a folder, where a later build changes nothing.
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

// checkout is the folder of this module, which tests run below.
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

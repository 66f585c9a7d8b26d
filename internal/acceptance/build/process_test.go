package build

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// processesWith lists the other processes whose command line or environment contains a
// text.
func processesWith(text string) []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if dir == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		// A process may end meanwhile.
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if bytes.Contains(command, []byte(text)) || bytes.Contains(env, []byte(text)) {
			found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

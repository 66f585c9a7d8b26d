//go:build interop

package testkit

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Versions of the programs that drive a browser, and that check pages in one.
const (
	playwrightVersion = "1.65.1"
	axeVersion        = "4.14.1"
)

// Browser runs a script of Node that drives Debian's Chromium by playwright-core, and returns
// what it prints. The script finds the packages playwright-core and axe-core, and the browser
// in $CHROMIUM.
func Browser(t testing.TB, script string, args ...string) []byte {
	t.Helper()
	Require(t, "chromium")
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	folder, node := npmTool(t, "playwright-core@"+playwrightVersion, "axe-core@"+axeVersion)
	cmd := exec.Command(node, append([]string{script}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(folder, "node_modules"), "CHROMIUM="+chromium)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, out.Bytes(), log.Bytes())
	}
	return out.Bytes()
}

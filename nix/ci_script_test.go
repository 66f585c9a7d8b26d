package nixcode

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// shell runs a script as runners do.
func shell(script string) *exec.Cmd {
	return exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
}

// checkBuildScript runs the script that builds what is not published.
func checkBuildScript(t *testing.T, script, summary string) {
	t.Helper()
	const plan = "docs/backend/default\tbuild\timage key changed\tk\ndocs/frontend/lyon\tnothing\tpublished\tk\nmeet/web/debug\tbuild\tnew\tk\nmeet/web/default\tsign\tnot signed\tk\nmeet/web/lyon\ttag\tgone\tk\n"
	run := func(plan string, code int) (string, error) {
		dir := t.TempDir()
		libre := fmt.Sprintf("#!/bin/sh\n[ \"$1\" != plan ] || { printf '%s'; exit %d; }\necho \"$@\"\n", plan, code)
		if err := os.WriteFile(filepath.Join(dir, "libre"), []byte(libre), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := shell(script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "GITHUB_STEP_SUMMARY=/tmp/my summary")
		out, err := cmd.Output()
		return string(out), err
	}
	if out, err := run(plan, 0); err != nil || out != "build --system all --summary "+summary+" docs/backend/default meet/web/debug meet/web/default\n" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run("", 0); err != nil || out != "" {
		t.Errorf("nothing changed: %q, %v", out, err)
	}
	if _, err := run("", 1); err == nil {
		t.Error("a failed plan is no error")
	}
}

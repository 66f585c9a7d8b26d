//go:build interop

package testkit

import (
	"os/exec"
	"path/filepath"
	"testing"
)

const gitlabCIVersion = "4.75.1"

// GitLabCI returns the command of gitlab-ci-local with arguments. It validates a pipeline with
// GitLab's JSON Schema, and lists its jobs. It is installed once and kept.
func GitLabCI(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	folder, node := npmTool(t, "gitlab-ci-local@"+gitlabCIVersion)
	script := filepath.Join(folder, "node_modules", "gitlab-ci-local", "dist", "index.js")
	return exec.Command(node, append([]string{script}, args...)...)
}

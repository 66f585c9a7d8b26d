//go:build interop

package build

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// An app with bases of the catalogue is built by BuildKit's daemon, as a user does it: the image
// runs, and another daemon makes the same digests. What runs no program is made for two platforms
// at once. doctor shows the daemon.
func TestInteropBuildKitBuildsAnApp(t *testing.T) {
	testkit.Require(t, "nix", "git", "buildah", "runc")
	files := maps.Clone(reproduced)
	files["plain/default.nix"] = `{ mkApp, ... }:
mkApp { name = "plain"; version = "1"; packageVersion = 1; source.path = ./src; components.web.containerfile = "Containerfile"; }
`
	files["plain/src/Containerfile"] = "# syntax=nowhere.invalid/frontend\nFROM scratch\nCOPY . /\n"
	c := newCatalogue(t, files)
	writeFile(t, filepath.Join(c.dir, "libre.yaml"), "packageSet: host\nengine: buildkit\nbuildkit: {host: unix:///nowhere}\n")
	c.env = []string{"BUILDKIT_HOST=unix:///nowhere/buildkitd.sock"}
	if _, stderr, err := testkit.Output(c.command("build", "tool/page/default")); err == nil || !strings.Contains(stderr, "BuildKit's daemon at unix:///nowhere/buildkitd.sock does not answer: ") {
		t.Errorf("no daemon: %v\n%s", err, stderr)
	}
	var built []string
	for _, output := range []string{"dist", "again"} {
		c.env = []string{"BUILDKIT_HOST=" + testkit.BuildKit(t).Host, "XDG_CACHE_HOME=" + t.TempDir()}
		tool, _ := c.libre(t, "build", "tool", "--output", output)
		plain, _ := c.libre(t, "build", "plain", "--system", "x86_64-linux,aarch64-linux", "--output", output)
		var references []string
		for line := range strings.Lines(tool + plain) {
			reference, _, _ := strings.Cut(line, "\t")
			references = append(references, reference)
		}
		built = append(built, strings.Join(references, "\n"))
	}
	if built[0] != built[1] || strings.Count(built[0], "@sha256:") == 0 {
		t.Errorf("first\n%s\nagain\n%s", built[0], built[1])
	}
	stdout, _ := c.libre(t, "doctor")
	if !strings.Contains(stdout, "ok\tbuildkit 0.34.2") || !strings.Contains(stdout, "containers of BuildKit's daemon 0.34.2 at unix:///tmp/") {
		t.Errorf("doctor:\n%s", stdout)
	}
	k := runContainer(t, c, "tool-page-default:1.2-3", changes{})
	<-k.Exited
	if said := k.Log.String(); said != "1.2" || k.Err != nil {
		t.Errorf("the image says %q, %v", said, k.Err)
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		if config := configOf(t, openImage(t, c.dist(), "plain-web-default:1-1", platform)); "linux/"+config.Architecture != platform {
			t.Errorf("%s: architecture %s", platform, config.Architecture)
		}
	}
}

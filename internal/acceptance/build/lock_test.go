package build

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/libresh/libre/internal/testkit"
)

// Another run may write to dist/ for hours. Commands that only read do not wait for it.
func TestReadersDoNotWaitForAnotherRun(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, apps(app("one", `package = pkgs.writeText "one" "1";`), app("two", `package = pkgs.writeText "two" "2";`)))
	c.libre(t, "build", "one")
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	cmd := c.command("keygen")
	cmd.Env = append(cmd.Env, "COSIGN_PASSWORD=x")
	if _, stderr, err := testkit.Output(cmd); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	lock, err := os.Open(c.dist())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	before := entries(t, c.dist())
	to := strings.TrimPrefix(server.URL, "http://") + "/apps"
	for _, line := range []string{
		"list", "show one", "plan --all", "plan --all --to " + to, "status --all --key cosign.pub --to " + to,
		"sbom one/web/default", // built
		"sbom two/web/default", // not built: uses a layout of its own
		"sbom two/web/debug -o cyclonedx-json",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithTimeout(context.Background(), 2*testkit.Patience)
			defer stop()
			template := c.command(strings.Fields(line)...)
			cmd := exec.CommandContext(ctx, template.Path, template.Args[1:]...)
			cmd.Dir, cmd.Env = template.Dir, template.Env
			stdout, stderr, err := testkit.Output(cmd)
			if err != nil || strings.Contains(stderr, "another libre") {
				t.Errorf("%v\n%s", err, stderr)
			}
			if name := strings.TrimPrefix(line, "sbom "); name != line && !strings.Contains(stdout, name[:3]) {
				t.Errorf("nothing is listed:\n%s", stdout)
			}
		})
	}
	t.Cleanup(func() {
		if after := entries(t, c.dist()); len(after) != len(before) {
			t.Errorf("the locked layout has %d images now, had %d", len(after), len(before))
		}
	})
}

// The time of an image includes that of its derivations, in the table and as JSON.
func TestTimeOfAnImageIncludesItsDerivations(t *testing.T) {
	t.Parallel()
	// a name that is in no store yet
	c := newCatalogue(t, apps(app("slow", `package = pkgs.runCommand "slow" { token = "`+rand.Text()+`"; } "sleep 3; mkdir $out";`)))
	began := time.Now()
	stdout, stderr := c.libre(t, "build", "slow/web/default", "--json")
	took := time.Since(began).Seconds()
	var results []struct{ Seconds float64 }
	if err := json.Unmarshal([]byte(stdout), &results); err != nil || len(results) != 1 {
		t.Fatalf("%v, %s", err, stdout)
	}
	if results[0].Seconds < 3 || results[0].Seconds > took {
		t.Errorf("%v seconds, three were slept\n%s", results[0].Seconds, stderr)
	}
	if !strings.Contains(stderr, "nix: building 2 derivations\n") || !strings.Contains(stderr, "built 2 derivations\n") {
		t.Errorf("what Nix does is not said:\n%s", stderr)
	}
}

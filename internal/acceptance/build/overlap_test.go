package build

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// An image is made as soon as its own outputs are built, here or on a builder.
func TestImagesAreMadeWhileNixBuildsOthers(t *testing.T) {
	t.Parallel()
	const content = "at last\n"
	var c catalogue
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := testkit.Eventually(func() error {
			index, err := os.ReadFile(filepath.Join(c.dist(), "index.json"))
			if err == nil && !strings.Contains(string(index), "quick-web-default") {
				err = fmt.Errorf("no image of quick: %s", index)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write([]byte(content))
	}))
	t.Cleanup(gate.Close)
	sum := sha256.Sum256([]byte(content))
	c = newCatalogue(t, apps(app("quick", `package = pkgs.writeText "quick" "quick";`),
		app("slow", fmt.Sprintf(`package = pkgs.runCommand "slow" { outputHash = "sha256-%s"; outputHashMode = "flat"; } "wget -q -O $out %s";`,
			base64.StdEncoding.EncodeToString(sum[:]), gate.URL))))
	c.flags = []string{"--package-set", "host"}
	if _, stderr, code := newMachine(t).run(t, c, "substitute = false\nmax-jobs = 2", "build", "--all"); code != 0 || t.Failed() {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if err := os.RemoveAll(c.dist()); err != nil {
		t.Fatal(err)
	}
	b := newRemoteBuilder(t, machine(), "max-jobs = 2\n")
	here, arguments := builtAt(t, b)
	if _, stderr, code := here.run(t, c, buildsNothing, arguments...); code != 0 || t.Failed() {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

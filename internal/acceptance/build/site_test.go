package build

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/net/html"

	"github.com/libresh/libre/internal/testkit"
)

// The commands on an app's page verify, run and render the app, exactly as the page shows them,
// in a folder that only has the page's public key.
func TestCommandsOfThePageRunTheApp(t *testing.T) {
	c := demo(t)
	testkit.RequireRoot(t)
	testkit.Require(t, "runc")
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	to := strings.TrimPrefix(server.URL, "http://") + "/coop"
	dir := t.TempDir()
	key, page := filepath.Join(dir, "cosign"), filepath.Join(dir, "page")
	c.env = append(c.env, "COSIGN_PASSWORD=")
	c.libre(t, "keygen", "--output", key)
	c.libre(t, "push", "guestbook/*/default", "--to", to, "--key", key+".key", "--output", filepath.Join(dir, "dist")) // other tests use the catalogue's
	c.libre(t, "site", "--output", page, "--to", to, "--key", key+".pub", "--notes=false")

	operator := catalogue{dir: filepath.Join(dir, "operator")}
	if err := os.Mkdir(operator.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(page, "cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(operator.dir, "cosign.pub"), string(public))
	var ran []string
	for _, words := range shownCommands(t, filepath.Join(page, "apps", "guestbook.html")) {
		switch {
		case words[0] != "libre":
			continue
		case words[1] == "run":
			state := stateHome(t)
			app := startApp(t, operator, state, append(words[2:], "--engine", "runc")...)
			if body := mustGet(t, app.url+"/"); !strings.Contains(body, defaultBrand) {
				t.Errorf("the page:\n%s", body)
			}
			app.end(t)
			nothingLeft(t, state)
		default:
			operator.libre(t, words[1:]...)
			if err := os.RemoveAll(filepath.Join(operator.dir, "guestbook")); err != nil { // both renderings are written there
				t.Fatal(err)
			}
		}
		ran = append(ran, words[1])
	}
	if want := []string{"verify", "run", "render", "render"}; !slices.Equal(ran, want) {
		t.Errorf("%q ran, want %q", ran, want)
	}
}

// shownCommands returns the words of the commands that a page shows, one command per line.
func shownCommands(t *testing.T, file string) (commands [][]string) {
	t.Helper()
	page, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	root, err := html.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Data == "code" && n.Parent.Data == "pre" {
			for line := range strings.Lines(n.FirstChild.Data) {
				commands = append(commands, strings.Fields(line))
			}
		}
	}
	return commands
}

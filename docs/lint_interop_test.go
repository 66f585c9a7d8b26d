//go:build interop

package docs

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// What is against the arrows of architecture.md, or starts a concern a second time, fails
// `make lint`; what is along them passes.
func TestInteropLinterRefusesWhatIsAgainstTheArrows(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^GOLANGCI_LINT := (\S+)$`).FindSubmatch(makefile)
	if version == nil {
		t.Fatal("the Makefile names no version of golangci-lint")
	}
	linter := testkit.GoProgram(t, "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", string(version[1]))
	const module = "github.com/libresh/libre"
	rooms := []string{"catalog", "cli", "containerfile", "git", "image", "nix", "oci/layout", "oci/serve", "registry", "release/publish", "release/state", "sign", "upstream", "web"}
	for _, test := range []struct{ name, room, imported, statement, refused string }{
		{"an adapter imports another", "upstream", module + "/internal/registry", "", "depguard"},
		{"an adapter imports what stands above", "nix", module + "/internal/release/state", "", "depguard"},
		{"a leaf imports an adapter", "web", module + "/internal/git", "", "depguard"},
		{"words import anything", "catalog", module + "/internal/web", "", "depguard"},
		{"a comparison that publishes", "release/state", module + "/internal/release/publish", "", "depguard"},
		{"git outside of its room", "release/state", "os/exec", `var _ = exec.Command("git")`, "depguard"},
		{"a request without the transport", "upstream", "net/http", `var _, _ = http.Get("https://example.org")`, "forbidigo"},
		{"a client without the transport", "sign", "net/http", "var _ = http.DefaultClient", "forbidigo"},
		{"a second reader of OCI layouts", "image", "github.com/google/go-containerregistry/pkg/v1/layout", "", "depguard"},
		{"a second client of registries", "sign", "github.com/google/go-containerregistry/pkg/v1/remote", "", "depguard"},
		{"a second login to registries", "release", "github.com/google/go-containerregistry/pkg/v1/remote/transport", "", "depguard"},
		{"a second keychain", "upstream", "github.com/google/go-containerregistry/pkg/authn", "", "depguard"},
		{"a layout imports what stands above", "oci/layout", module + "/internal/image", "", "depguard"},
		{"a server imports an adapter", "oci/serve", module + "/internal/registry", "", "depguard"},
		{"a file is renamed into place", "nix", "os", `var _ = os.Rename`, "forbidigo"},
		{"a grammar of harmful characters", "sign", "unicode", "var _ = unicode.Cf", "forbidigo"},
		{"a look for control characters", "containerfile", "unicode", "var _ = unicode.IsControl('a')", "forbidigo"},
		{"a room that prints", "registry", "fmt", `func init() { fmt.Println("here I am") }`, "forbidigo"},
		{"a server of layouts reads them", "oci/serve", module + "/internal/oci/layout", "", ""},
		{"downwards", "release/state", module + "/internal/registry", "", ""},
		{"an engine is started in its room", "containerfile", "os/exec", `var _ = exec.Command("buildah")`, ""},
		{"the command line prints", "cli", "fmt", `func init() { fmt.Println("here I am") }`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) {
				t.Helper()
				file := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			rules, err := os.ReadFile("../.golangci.yml")
			if err != nil {
				t.Fatal(err)
			}
			write(".golangci.yml", string(rules))
			write("go.mod", "module "+module+"\n\ngo 1.26\n")
			for _, room := range rooms {
				name := path.Base(room)
				write("internal/"+room+"/doc.go", "// Package "+name+" is one.\npackage "+name+"\n")
			}
			imported := `import "` + test.imported + `"`
			if test.statement == "" {
				imported = `import _ "` + test.imported + `"`
			}
			write("internal/"+test.room+"/more.go", "package "+path.Base(test.room)+"\n\n"+imported+"\n\n"+test.statement+"\n")
			run := exec.Command(linter, "run", "./...")
			run.Dir = dir
			run.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
			said, err := run.CombinedOutput()
			switch {
			case test.refused == "" && err != nil:
				t.Errorf("%s", said)
			case test.refused != "" && (err == nil || !strings.Contains(string(said), "("+test.refused+")")):
				t.Errorf("not refused by %s: %v %s", test.refused, err, said)
			}
		})
	}
}

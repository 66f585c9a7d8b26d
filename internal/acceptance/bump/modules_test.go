package bump

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// An older version of real modules, from the real proxy, is bumped, built and run.
func TestModulesOfTheRealProxyAreBumped(t *testing.T) {
	testkit.Require(t, "nix", "git", "patch", "skopeo")
	files := map[string]string{}
	older := map[string]string{"pocketbase": "0.34.0", "registry": "3.0.0"}
	for app, version := range older {
		entries, err := filepath.Glob("../../../apps/" + app + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			text, err := os.ReadFile(entry)
			if err != nil {
				t.Fatal(err)
			}
			files[app+"/"+filepath.Base(entry)] = string(text)
		}
		definition := files[app+"/default.nix"]
		definition = regexp.MustCompile(`version = "[0-9.]+";`).ReplaceAllString(definition, `version = "`+version+`";`)
		// No version has these hashes: all must be found.
		definition = regexp.MustCompile(`[Hh]ash = "sha256-....`).ReplaceAllStringFunc(definition, func(hash string) string {
			return hash[:len(hash)-4] + "AAAA"
		})
		files[app+"/default.nix"] = definition
	}
	c := catalogue{dir: libre.Catalogue(t, files, "x86_64-linux")}
	got := c.run(t, 0, "bump", "--all")
	if strings.Count(got.stdout, "\tbumped\n") != len(older) {
		t.Fatalf("bump:\n%s%s", got.stdout, got.stderr)
	}
	c.run(t, 0, "build", "*/*/default")
	for app := range older {
		version := regexp.MustCompile(`\n  version = "([0-9.]+)";`).FindStringSubmatch(c.read(t, "apps/"+app+"/default.nix"))[1]
		program := filepath.Join(t.TempDir(), app)
		content := fileOf(t, c, app+"-server-default:"+version+"-1", "bin/"+app)
		if err := os.WriteFile(program, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(program, "--version").CombinedOutput()
		if err != nil || app == "registry" && !strings.Contains(string(out), "v"+version) {
			t.Errorf("%s %s says of itself: %s (%v)", app, version, out, err)
		}
	}
}

// Package docs runs the examples of README.md and docs/, as a reader would.
package docs

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/scan/scantest"
	"github.com/libresh/libre/internal/settings"
	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/vex"
)

var libre testkit.Libre

func TestMain(m *testing.M) { os.Exit(libre.Run(m)) }

// TestCommandsOfThePagesRun runs the blocks of shell commands, each page in one shell, like
// a reader who follows the whole page.
func TestCommandsOfThePagesRun(t *testing.T) { runCommands(t, "") }

// runCommands runs the blocks that need nothing, and those that need the one program that
// the test has. "" is no program.
func runCommands(t *testing.T, has string) {
	testkit.RequireRoot(t)
	testkit.Require(t, "bash", "nix", "git", "go", "busybox", "buildah", "skopeo")
	port, app := freePort(t), freePort(t)
	database := t.TempDir()
	if err := scantest.Write(database, time.Now(), scantest.Record{ID: "CVE-2026-1234", Severity: "medium", Ecosystem: "go-module", Package: "stdlib", Affected: "< 99"}); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n") // the registry
	begun := map[string]bool{}
	for _, b := range blocks(t) {
		switch {
		case b.language != "sh":
		case b.needs != "" && b.needs != has:
			t.Logf("%s is not run: it needs %s", b.place(), needs[b.needs])
		default:
			if !begun[b.page] {
				script.WriteString(begin[b.page])
				begun[b.page] = true
			}
			fmt.Fprintf(&script, "echo '== %s' >&2\n%s", b.place(), commands(b.text, port, app, database))
		}
	}
	shell := exec.Command("bash", "-c", script.String())
	shell.Dir = libre.TempDir(t)
	shell.Env = append(libre.Command(shell.Dir).Env, "PATH="+filepath.Dir(libre.Program())+":"+os.Getenv("PATH"))
	if stdout, stderr, err := testkit.Output(shell); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	address := testkit.FreeAddress(t)
	return address[strings.LastIndex(address, ":")+1:]
}

// begin has the commands that set up what a page assumes, such as a catalogue.
var begin = map[string]string{
	"docs/tutorial.md":       "kill %1; wait\nmkdir ../tutorial\ncd ../tutorial\n", // and README's registry ends
	"nix/template/README.md": "cd \"$(mktemp -d)\"\nlibre init .\n",
}

// started is a command in the background, and the port that it names.
var started = regexp.MustCompile(`(?m)^.*--port (\d+).* &( *#.*)?$`)

// commands prepares a block. It replaces the registry's port 5000 and the app's 8081, which
// may be taken, and the vulnerability database, which is downloaded. It waits for programs
// that are started in the background. A command may have the exit code in its comment.
func commands(text, port, app, database string) string {
	text = strings.NewReplacer("libre scan ", "libre scan --db "+database+" ", "libre find CVE", "libre find --db "+database+" CVE").Replace(text)
	text = strings.ReplaceAll(text, "localhost:5000", "localhost:"+port)
	text = strings.ReplaceAll(text, "libre serve ", "libre serve --port "+port+" ")
	text = strings.ReplaceAll(text, "8081", app)
	text = started.ReplaceAllString(text, "$0\nuntil (: </dev/tcp/127.0.0.1/$1) 2>/dev/null; do sleep 0.1; done")
	return regexp.MustCompile(`(?m)^([^#\n]*[^# \n]) *#.*exit code (\d+)\b.*$`).ReplaceAllString(text, "$1 || [ $$? = $2 ]")
}

// TestDefinitionsOfThePagesEvaluate evaluates the Nix blocks in a catalogue.
func TestDefinitionsOfThePagesEvaluate(t *testing.T) {
	hashes := strings.NewReplacer("sha256-…", "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sha256:…", "sha256:"+strings.Repeat("0", 64))
	for _, b := range blocks(t) {
		if b.language != "nix" {
			continue
		}
		t.Run(b.place(), func(t *testing.T) {
			text, files := hashes.Replace(b.text), map[string]string{}
			switch b.is {
			case "app":
				files["notes/default.nix"], files["notes/lyon.patch"] = text, ""
			case "flake":
				files["notes/default.nix"] = "{ mkApp, ... }: mkApp { name = \"notes\"; version = \"1\"; packageVersion = 1; components.server.package = { writeText, ... }: writeText \"x\" \"y\"; }\n"
			default:
				t.Fatalf("%s is not evaluated: say app or flake behind nix", b.place())
			}
			dir := libre.Catalogue(t, files, "x86_64-linux")
			if b.is == "flake" {
				replaceOutputs(t, filepath.Join(dir, "flake.nix"), text)
			}
			commands := [][]string{{"list"}, {"show", "notes", "--json"}}
			if b.is == "app" {
				commands = append(commands, []string{"plan", "notes/server"})
			} // otherwise the package set is a configured nixpkgs: the host's has no configuration
			for _, args := range commands {
				if _, stderr, err := testkit.Output(libre.Command(dir, args...)); err != nil {
					t.Errorf("libre %s: %v\n%s", strings.Join(args, " "), err, stderr)
				}
			}
		})
	}
}

func replaceOutputs(t *testing.T, flake, outputs string) {
	t.Helper()
	text, err := os.ReadFile(flake)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(text), "outputs = ")
	if !found {
		t.Fatalf("%s has no outputs", flake)
	}
	if err := os.WriteFile(flake, []byte(before+outputs+"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSettingsOfThePagesAreRead reads the YAML blocks as libre.yaml.
func TestSettingsOfThePagesAreRead(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for _, b := range blocks(t) {
		if b.language != "yaml" || b.is == "vex" {
			continue
		}
		dir := t.TempDir()
		for name, content := range map[string][]byte{"company.pem": certificate, "our-ca.pem": certificate, settings.File: []byte(b.text)} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := settings.Read(dir, func(string) string { return "" }); err != nil {
			t.Errorf("%s: %v", b.place(), err)
		}
	}
}

// TestStatementsOfThePagesAreRead reads the YAML blocks that are of a vex.yaml.
func TestStatementsOfThePagesAreRead(t *testing.T) {
	found := 0
	for _, b := range blocks(t) {
		if b.is != "vex" {
			continue
		}
		found++
		if _, err := vex.Parse(b.place(), []byte(b.text), time.Now()); err != nil {
			t.Error(err)
		}
	}
	if found == 0 {
		t.Error("no page has statements")
	}
}

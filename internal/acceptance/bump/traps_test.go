package bump

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

const definition = "apps/notes/default.nix"

// refused checks that a bump fails with one line and changes nothing.
func refused(t *testing.T, c catalogue, want string) {
	t.Helper()
	before := c.files(t)
	got := c.run(t, 3, "bump", "notes")
	line := ""
	for l := range strings.Lines(got.stderr) {
		if strings.HasPrefix(l, "error: notes: ") {
			line += l
		}
	}
	if strings.Count(line, "\n") != 1 || !strings.Contains(line, want) {
		t.Errorf("no single line with %q:\n%s", want, got.stderr)
	}
	if diff := cmp.Diff(before, c.files(t)); diff != "" {
		t.Errorf("it changed: %s", diff)
	}
	if left := c.git(t, "status", "--porcelain", "--ignored"); left != "" {
		t.Errorf("it left behind: %s", left)
	}
}

// The release has no archive, or not yet.
func TestReleaseWithoutAnArchiveChangesNothing(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, repo := suite(t, forge)
	release(repo, "1.1.0", "better")
	forge.SetFault(func(r *http.Request) *forgetest.Fault {
		if strings.Contains(r.URL.Path, "v1.1.0.tar.gz") {
			return &forgetest.Fault{Status: http.StatusNotFound, Body: "not\nfound"}
		}
		return nil
	})
	refused(t, c, "v1.1.0.tar.gz: not found, or private: set GITHUB_TOKEN or use gh auth login")
	forge.SetFault(nil)
	c.run(t, 0, "bump", "notes")
}

// A new version with the content of the old one is refused: it would ship the old source
// under a new name.
func TestNewVersionWithTheOldContentIsRefused(t *testing.T) {
	c, repo := suite(t, forgetest.GitHub(t))
	release(repo, "1.1.0", "better")
	c.run(t, 0, "bump", "notes")
	c.commit(t, "1.1.0")
	repo.Tag("v1.2.0", repo.Commit(map[string]string{"page.txt": upstreamFiles("1.1.0")["page.txt"]}))
	refused(t, c, "v1.2.0 has the same source as v1.1.0: there is nothing to update")
}

// A paused is a bump that waits for a build that finds a hash.
type paused struct {
	catalogue
	*testkit.Process
	before map[string]string
	temp   string // folder for temporary files
	token  string // in the environment of all processes
	answer chan struct{}
	server *httptest.Server
}

// pause starts a bump of notes, and returns when the build runs.
func pause(t *testing.T) *paused {
	t.Helper()
	c, repo := suite(t, forgetest.GitHub(t))
	release(repo, "1.1.0", "better")
	p := &paused{catalogue: c, temp: libre.TempDir(t), token: "NIX_BUMP_TOKEN=" + rand.Text(), answer: make(chan struct{})}
	arrived := make(chan struct{}, 100)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-p.answer:
			fmt.Fprint(w, "deps\n")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(p.server.Close)
	text := c.read(t, definition)
	c.write(t, definition, strings.Replace(text, "cp $source/deps.txt $out", "wget -q -O $out/deps.txt "+p.server.URL, 1))
	c.commit(t, "Dependencies from elsewhere")
	p.before = c.files(t)
	cmd := libre.Command(c.dir, "bump", "notes")
	cmd.Env = append(append(cmd.Env, c.env...), p.token, "TMPDIR="+p.temp)
	var err error
	if p.Process, err = testkit.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Cmd.Process.Kill(); <-p.Exited })
	select {
	case <-arrived:
	case <-p.Exited:
		t.Fatalf("it ended: %v\n%s", p.Err, p.Log)
	}
	return p
}

// checkUndone checks that every file is unchanged and no other file exists. Then it checks
// that the next run does the work.
func (p *paused) checkUndone(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(p.before, p.files(t)); diff != "" {
		t.Errorf("it changed: %s", diff)
	}
	if left := p.git(t, "status", "--porcelain", "--ignored"); left != "" {
		t.Errorf("it left behind: %s", left)
	}
	p.server.CloseClientConnections()
	if err := testkit.Eventually(p.running); err != nil {
		t.Error(err)
	}
	close(p.answer)
	if again := p.run(t, 0, "bump", "notes"); again.stdout != "notes\t1.0.0-3\t1.1.0-1\tbumped\n" {
		t.Errorf("the next run:\n%s%s", again.stdout, again.stderr)
	}
}

// running returns an error that lists the remaining processes of the run.
func (p *paused) running() error {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return err
	}
	for _, file := range environments {
		// Most have ended, or belong to others, when they are read.
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(p.token)) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			return fmt.Errorf("still running: %q", line)
		}
	}
	return nil
}

// The bump is killed between the edits in the copy and those in the catalogue.
func TestKilledBumpLeavesTheCatalogueWhole(t *testing.T) {
	p := pause(t)
	if err := p.Cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.Exited
	p.checkUndone(t)
}

// Ctrl-C removes the copy.
func TestInterruptedBumpRemovesItsCopy(t *testing.T) {
	p := pause(t)
	// A terminal signals the whole foreground process group.
	if err := syscall.Kill(-p.Cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-p.Exited
	if code := p.Cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d\n%s", code, p.Log)
	}
	left, err := os.ReadDir(p.temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the folder for temporary files: %v (%v)", left, err)
	}
	p.checkUndone(t)
}

// A file that a person edits meanwhile is kept.
func TestFileEditedMeanwhileIsKept(t *testing.T) {
	p := pause(t)
	p.write(t, definition, p.before[definition]+"# a person was here\n")
	close(p.answer)
	<-p.Exited
	if code := p.Cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(p.Log.String(), "error: notes: "+definition+" was changed in the meantime: nothing was written; run the same command again\n") {
		t.Errorf("exit code %d\n%s", code, p.Log)
	}
	if text := p.read(t, definition); text != p.before[definition]+"# a person was here\n" {
		t.Errorf("what the person wrote:\n%s", text)
	}
	if left := p.git(t, "status", "--porcelain", "--ignored"); left != " M "+definition+"\n" {
		t.Errorf("it left behind: %s", left)
	}
	p.run(t, 0, "bump", "notes")
	if text := p.read(t, definition); !strings.HasSuffix(text, "# a person was here\n") || !strings.Contains(text, `version = "1.1.0"`) {
		t.Errorf("after the next run:\n%s", text)
	}
}

// These are the ways to write a version.
func TestEveryWayToWriteAVersionIsEditedOrNamed(t *testing.T) {
	forge := forgetest.GitHub(t)
	c, repo := suite(t, forge)
	release(repo, "1.1.0", "better")
	original := c.read(t, definition)
	for _, test := range []struct {
		name     string
		from, to []string // texts of the definition: the usual one, and another way to write it
		want     []string // … after the bump
	}{
		{
			"other literals that are equal",
			[]string{"packageVersion = 3;\n", "mkApp rec {"},
			[]string{"packageVersion = 3;\n  meta.description = \"Speaks 1.0.0\"; # since 1.0.0\n  components.web.env.VERSION = \"1.0.0\";\n", "# 1.0.0\nmkApp rec {"},
			[]string{"packageVersion = 1;\n  meta.description = \"Speaks 1.0.0\"; # since 1.0.0\n  components.web.env.VERSION = \"1.0.0\";\n", `  version = "1.1.0"; packageVersion`},
		},
		{
			"let",
			[]string{"mkApp rec {", `version = "1.0.0"; package`},
			[]string{"let\n  protocol = { release = \"1.0.0\"; };\n  release = \"1.0.0\";\nin\nmkApp rec {", "version = release; package"},
			[]string{"let\n  protocol = { release = \"1.0.0\"; };\n  release = \"1.1.0\";\nin\nmkApp rec {", "version = release; packageVersion = 1;"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := original
			for i := range test.from {
				text = strings.Replace(text, test.from[i], test.to[i], 1)
			}
			c.write(t, definition, text)
			c.commit(t, test.name)
			c.run(t, 0, "bump", "notes")
			got := c.read(t, definition)
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("it lacks %q", want)
				}
			}
			if strings.Count(got, "1.0.0") != strings.Count(text, "1.0.0")-1 || t.Failed() {
				t.Errorf("bump:\n%s", got)
			}
			c.git(t, "checkout", "--quiet", ".")
		})
	}
	for _, test := range []struct{ name, version, want string }{
		{"computed", `version = "1.0" + ".0";`, definition + `:5:3: version is computed ("1.0" + ".0"): libre edits literals only`},
		{"interpolated", `version = "1.${toString 0}.0";`, definition + `:5:3: version is made of other values`},
		{"inherited", `inherit (import ./version.nix) version;`, `: version is inherited: write version = …;`},
		{"bound elsewhere", `version = import ./version.nix;`, definition + `:5:3: version is computed`},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(original, `version = "1.0.0";`, test.version, 1)
			c.write(t, definition, text)
			value := `"1.0.0"`
			if test.name == "inherited" {
				value = `{ version = "1.0.0"; }`
			}
			c.write(t, "apps/notes/version.nix", value)
			c.git(t, "add", ".")
			c.commit(t, test.name)
			refused(t, c, test.want)
		})
	}
}

// An app that cannot be evaluated does not hold back the others.
func TestAppThatDoesNotEvaluateHoldsNoOtherBack(t *testing.T) {
	for name, broken := range map[string]string{
		"definition": `{ mkApp, ... }: mkApp { name = "broken"; }`,
		"syntax":     `{ mkApp, ... }: mkApp {`,
	} {
		t.Run(name, func(t *testing.T) {
			c, repo := suite(t, forgetest.GitHub(t))
			if err := os.Mkdir(filepath.Join(c.dir, "apps/broken"), 0o755); err != nil {
				t.Fatal(err)
			}
			c.write(t, "apps/broken/default.nix", broken)
			c.git(t, "add", ".")
			c.commit(t, "Broken")
			release(repo, "1.1.0", "better")
			if got := c.run(t, 10, "bump", "notes", "--check"); got.stdout != "notes\t1.0.0-3\t1.1.0-1\toutdated\n" {
				t.Errorf("bump --check:\n%s%s", got.stdout, got.stderr)
			}
			if got := c.run(t, 0, "bump", "notes"); got.stdout != "notes\t1.0.0-3\t1.1.0-1\tbumped\n" {
				t.Errorf("bump:\n%s%s", got.stdout, got.stderr)
			}
			c.run(t, 0, "bump", "--repack", "notes")
			all := c.run(t, 3, "bump", "--all")
			if !strings.Contains(all.stdout, "notes\t1.1.0-2\t1.1.0-2\tup to date\n") || !strings.Contains(all.stderr, "error: broken: ") {
				t.Errorf("bump --all:\n%s%s", all.stdout, all.stderr)
			}
		})
	}
}

// A hash that an input has made wrong is found again, and no other changes.
func TestHashesOnlyChangesNothingElse(t *testing.T) {
	c, repo := suite(t, forgetest.GitHub(t))
	release(repo, "1.1.0", "better")
	text := strings.Replace(c.read(t, definition), "  hashes.deps", `  hashes.more = "sha256-CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA=";`+"\n  hashes.deps", 1)
	text = strings.Replace(text, "    in\n", `      more = pkgs.runCommand "more" { inherit deps; outputHash = hashes.more; outputHashMode = "recursive"; } "cp -r $deps $out; chmod +w $out; echo more >$out/more.txt";
    in
`, 1)
	text = strings.Replace(text, "inherit source deps; }", "inherit source deps more; }", 1)
	c.write(t, definition, text)
	c.run(t, 0, "bump", "notes") // more depends on deps: two rounds of builds
	right := c.read(t, definition)
	c.commit(t, "1.1.0")

	nothing := c.run(t, 0, "bump", "--hashes-only", "notes")
	if nothing.stdout != "notes\t1.1.0-1\t1.1.0-1\tup to date\n" || c.read(t, definition) != right {
		t.Errorf("nothing is stale:\n%s%s", nothing.stdout, nothing.stderr)
	}
	at := strings.Index(right, `hashes.more = "sha256-`) + len(`hashes.more = "sha256-`)
	stale := right[:at] + "AAAAAAAA" + right[at+8:]
	c.write(t, definition, stale)
	got := c.run(t, 0, "bump", "--hashes-only", "notes")
	if want := strings.Replace(right, "packageVersion = 1;", "packageVersion = 2;", 1); got.stdout != "notes\t1.1.0-1\t1.1.0-2\trepacked\n" || c.read(t, definition) != want {
		t.Errorf("a stale hash:\n%s%s%s", got.stdout, got.stderr, c.difference(t))
	}
	c.run(t, 0, "build", "notes/web/default")
}

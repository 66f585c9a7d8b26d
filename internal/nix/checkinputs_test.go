package nix

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// strangers makes a folder with a secret beside a checkout with a flake.nix.
func strangers(t *testing.T, flake string) (dir, secret, word string) {
	t.Helper()
	top := t.TempDir()
	dir, secret, word = filepath.Join(top, "checkout"), filepath.Join(top, "secret"), "canary-"+rand.Text()
	for name, text := range map[string]string{
		"secret/flake.nix": "{ outputs = _: { }; } # " + word, "secret/s": word, "checkout/flake.nix": strings.ReplaceAll(flake, "SECRET", secret),
		"checkout/part/flake.nix": "{ outputs = _: { }; }",
		"checkout/.gitignore":     "cosign.key", "checkout/cosign.key": word,
	} {
		file := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{secret, dir} {
		inRepository(t, folder)
	}
	return dir, secret, word
}

func inRepository(t *testing.T, dir string) {
	t.Helper()
	testkit.Require(t, "git")
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "--quiet", "--message", "x"}} {
		command := exec.Command("git", args...)
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %s", args, out)
		}
	}
}

// copied returns the store paths that contain a word, except those in before.
func copied(t *testing.T, before map[string]bool, word string) (found []string) {
	t.Helper()
	for path := range storePaths(t) {
		if !before[path] && exec.Command("grep", "-rqs", word, filepath.Join("/nix/store", path)).Run() == nil {
			found = append(found, path)
		}
	}
	return found
}

func storePaths(t *testing.T) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir("/nix/store")
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, entry := range entries {
		paths[entry.Name()] = true
	}
	return paths
}

// opened opens a catalogue and evaluates it, as every command does.
func opened(t *testing.T, n *Nix, dir string) error {
	t.Helper()
	c, err := n.OpenCatalogue(context.Background(), dir, HostPackageName)
	if err == nil {
		_, err = c.Evaluate(context.Background(), Request{})
	}
	return err
}

// copiesNothing evaluates a catalogue, which must fail, and looks for a secret word in the new
// store paths. Nix copies the checkout itself, which does not contain the word.
func copiesNothing(t *testing.T, n *Nix, dir, word string) {
	t.Helper()
	before := storePaths(t)
	if err := opened(t, n, dir); err == nil {
		t.Error("it is evaluated")
	} else {
		t.Log(err)
	}
	if found := copied(t, before, word); len(found) > 0 {
		t.Errorf("copied into %v", found)
	}
}

const noHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// A stranger's catalogue cannot copy files from outside its checkout into the store.
func TestLocalInputsAreRefused(t *testing.T) {
	n := requireNix(t)
	for name, test := range map[string]struct{ flake, lock, want string }{
		"path:":              {"{\n inputs.x.url = \"path:SECRET\"; outputs = _: { }; }", "", "flake.nix:2: the input x"},
		"file:":              {"{ inputs.x.url = \"file:SECRET/s\"; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"file:// of a tree":  {"{ inputs.x = { flake = false; url = \"file://SECRET/s.tar.gz\"; }; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"git+file:":          {"{ inputs = {\n\n x = { url = ''git+file://SECRET''; }; }; outputs = _: { }; }", "", "flake.nix:3: the input x"},
		"an absolute path":   {"{ inputs.x.url = \"SECRET\"; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"a relative path":    {"{ inputs.x.url = \"path:../secret\"; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"a URI":              {"{ inputs.x.url = path:SECRET; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"attributes":         {"{ inputs.x = { type = \"path\"; path = \"SECRET\"; }; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"attributes of git":  {"{ inputs.x = { type = \"git\"; url = \"file://SECRET\"; }; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"an escape":          {"{ inputs.x.url = \"p\\ath:SECRET\"; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"quoted, behind":     {"{ outputs = _: { a = \"${\"}\"}\"; b = ''''${ ${\"''\"} ''; }; /* { */ \"inputs\".\"x\".\"url\" = (\"path:SECRET\"); }", "", "flake.nix:1: the input x"},
		"a variable":         {"rec {\n description = \"path:SECRET\"; inputs.x.url = description; outputs = _: { }; }", "", "flake.nix:2: the input x"},
		"inherited":          {"rec { url = \"path:SECRET\"; inputs.x = { inherit url; }; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"a name in brackets": {"{ ${\"inputs\"}.${\"x\"}.url = \"path:SECRET\"; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"a set by its name":  {"rec { x.url = \"path:SECRET\"; inputs = { inherit x; }; outputs = _: { }; }", "", "flake.nix:1: the input x"},
		"an input's input":   {"{ inputs.libre.inputs.x.url = \"path:SECRET\"; outputs = _: { }; }", "", "flake.nix:1: the input libre/x"},
		"locked, wrongly": {"{ inputs.x.url = \"github:a/b\"; outputs = _: { }; }",
			`{"nodes":{"root":{"inputs":{"x":"x"}},"x":{"locked":{"type":"path","path":"SECRET","narHash":"` + noHash + `"},` + "\n" + `"original":{"type":"github","owner":"a","repo":"b"}}},"root":"root","version":7}`, "flake.lock:1: the input x"},
		"locked git": {"{ inputs.x.url = \"github:a/b\"; outputs = _: { }; }",
			"{\n" + `"nodes":{"root":{"inputs":{"x":"x"}},"x":{"locked":{"type":"git","url":"file://SECRET","rev":"` + revision + `"},"original":{}}},"root":"root","version":7}`, "flake.lock:2: the input x"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, secret, word := strangers(t, test.flake)
			if test.lock != "" {
				if err := os.WriteFile(filepath.Join(dir, "flake.lock"), []byte(strings.ReplaceAll(test.lock, "SECRET", secret)), 0o600); err != nil {
					t.Fatal(err)
				}
				inRepository(t, dir)
			}
			before := storePaths(t)
			if err := opened(t, n, dir); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "--allow-local-inputs") {
				t.Error(err)
			}
			if found := copied(t, before, word); len(found) > 0 {
				t.Errorf("copied into %v", found)
			}
		})
	}
}

// Inputs in the checkout, in the store, on a server, or replaced ones are allowed.
func TestHarmlessInputsAreAllowed(t *testing.T) {
	for name, inputs := range map[string]string{
		"the checkout's":    `inputs.x.url = "path:./part";`,
		"the store's":       `inputs.x.url = "path:/nix/store/5hvhiff9lnjwh4p7kd1csmlkcqxzqd6m-source";`,
		"elsewhere":         `inputs.x.url = "github:a/b"; inputs.y.url = "git+ssh://git@example.org/a?ref=/main";`,
		"replaced":          `inputs.libre.url = "path:SECRET";`,
		"another attribute": `inputs.x.flake = false; inputs.y.follows = "x/path"; nixConfig.a = "/etc";`,
		"a comment":         "# inputs.x.url = \"path:SECRET\";\n /* inputs.y.url = \"path:SECRET\"; */",
		"of outputs":        `outputs = _: { inputs.x.url = "path:SECRET"; };`,
	} {
		dir, _, _ := strangers(t, "{ "+inputs+" }")
		if err := requireNix(t).checkInputs(context.Background(), dir, []Override{{"libre", "path:/nix/store/x"}}, false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// remoteFlake serves a flake as an archive, and returns its URL and hash.
func remoteFlake(t *testing.T, text string) (url, narHash string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "source")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-C", filepath.Dir(dir), "-czf", dir+".tar.gz", "source").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(dir))))
	t.Cleanup(server.Close)
	out, err := exec.Command("nix-hash", "--type", "sha256", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	if narHash, err = sriHash("sha256:" + strings.TrimSpace(string(out))); err != nil {
		t.Fatal(err)
	}
	return server.URL + "/source.tar.gz", narHash
}

// Only flake.lock decides what an input is.
func TestUnlockedInputsAreRefused(t *testing.T) {
	n := requireNix(t)
	url, hash := remoteFlake(t, "{ outputs = _: { }; }")
	withInput, hashOfIt := remoteFlake(t, `{ inputs.z.url = "`+url+`"; outputs = _: { }; }`)
	const outputs = ` outputs = _: { libre = { schema = 1; systems = [ ]; apps = { }; images = { }; }; }; }`
	node := func(locked, original string) string {
		return `{"nodes":{"root":{"inputs":{"x":"x"}},` + "\n" + `"x":{"locked":` + locked + `,"original":` + original + `}},"root":"root","version":7}`
	}
	tarball := `{"type":"tarball","url":"` + url + `"}`
	locked := `{"type":"tarball","url":"` + url + `","narHash":"` + hash + `"}`
	flake := `{ inputs.x.url = "` + url + `";` + "\n" + outputs
	for name, test := range map[string]struct{ flake, lock, want string }{
		"locked":                {flake, node(locked, tarball), ""},
		"a lock that has more":  {"{" + outputs, node(locked, tarball), ""},
		"another input":         {`{ inputs.x.url = "` + url + `"; inputs.y.follows = "x";` + outputs, strings.Replace(node(locked, tarball), `"x":"x"`, `"x":"x","y":["x"]`, 1), ""},
		"no lock":               {flake, "", "flake.nix:1: the input x is not locked"},
		"not in the lock":       {"{ inputs.x.url = \"" + url + "\";\n inputs.y.url = \"" + url + "\";" + outputs, node(locked, tarball), "flake.nix:2: the input y is not locked"},
		"neither rev nor hash":  {flake, node(tarball, tarball), "flake.lock:2: the input x is not locked"},
		"locked as another one": {flake, node(strings.NewReplacer(url, withInput, hash, hashOfIt).Replace(locked), strings.Replace(tarball, url, withInput, 1)), "flake.nix:1: the input x is not locked"},
		"not declared":          {"{ " + strings.Replace(outputs, "_:", "{ self, other }:", 1), "", "flake.nix:1: the input other is not locked"},
		"by its short name":     {`{ inputs.x.url = "nixpkgs";` + outputs, "", "flake.nix:1: the input x is not locked"},
		"an input's input":      {flake, strings.Replace(node(locked, tarball), `"x":{`, `"z":{"locked":`+tarball+"},\n"+`"x":{"inputs":{"z":"z"},`, 1), "flake.lock:2: the input x/z is not locked"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _, _ := strangers(t, test.flake)
			if test.lock != "" {
				if err := os.WriteFile(filepath.Join(dir, "flake.lock"), []byte(test.lock), 0o600); err != nil {
					t.Fatal(err)
				}
				inRepository(t, dir)
			}
			err := opened(t, n, dir)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want) || !strings.Contains(err.Error(), "flake lock")) {
				t.Error(err)
			}
		})
	}
}

// An update of the inputs copies no files of this machine, whatever the inputs, or their own
// inputs, have become. This also holds if the package set is replaced.
func TestUpdatesCopyNothingOfThisMachine(t *testing.T) {
	n := requireNix(t)
	for name, test := range map[string]struct{ flake, remote string }{
		"an input's own":    {`{ inputs.x.url = "URL"; outputs = _: { }; }`, `{ inputs.s = { url = "path:SECRET"; flake = false; }; outputs = _: { }; }`},
		"a file of it":      {`{ inputs.x.url = "URL"; outputs = _: { }; }`, `{ inputs.s = { url = "file:SECRET/s"; flake = false; }; outputs = _: { }; }`},
		"a repository":      {`{ inputs.x.url = "URL"; outputs = _: { }; }`, `{ inputs.s.url = "git+file://SECRET"; outputs = _: { }; }`},
		"the package set's": {`{ inputs.nixpkgs.url = "path:SECRET"; inputs.x.url = "URL"; outputs = _: { }; }`, `{ outputs = _: { }; }`},
	} {
		t.Run(name, func(t *testing.T) {
			dir, secret, word := strangers(t, "{ outputs = _: { }; }")
			url, hash := remoteFlake(t, strings.ReplaceAll(test.remote, "SECRET", secret))
			node := `{"locked":{"type":"tarball","url":"` + url + `","narHash":"` + hash + `"},"original":{"type":"tarball","url":"` + url + `"}}`
			for file, text := range map[string]string{
				"flake.nix":  strings.NewReplacer("URL", url, "SECRET", secret).Replace(test.flake),
				"flake.lock": `{"nodes":{"root":{"inputs":{"x":"x","nixpkgs":"nixpkgs"}},"x":` + node + `,"nixpkgs":` + node + `},"root":"root","version":7}`,
			} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			inRepository(t, dir)
			before := storePaths(t)
			c, err := n.OpenCatalogue(context.Background(), dir, HostPackageName)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(c.UpdateLock(context.Background(), []string{"x"}), c.UpdateLock(context.Background(), []string{"nixpkgs"}))
			if found := copied(t, before, word); len(found) > 0 {
				t.Errorf("copied into %v", found)
			}
		})
	}
}

func TestLocalSourcesAreRefused(t *testing.T) {
	n := requireNix(t)
	_, secret, word := strangers(t, "{ outputs = _: { }; }")
	head := exec.Command("git", "rev-parse", "HEAD")
	head.Dir = secret
	rev, err := head.Output()
	if err != nil {
		t.Fatal(err)
	}
	before := storePaths(t)
	for _, url := range []string{secret, "file://" + secret, "git+file://" + secret} {
		if _, err := n.GitHash(context.Background(), url, strings.TrimSpace(string(rev))); err == nil || !strings.Contains(err.Error(), "--allow-local-inputs") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if found := copied(t, before, word); len(found) > 0 {
		t.Errorf("copied into %v", found)
	}
}

// If flake.nix or flake.lock is a link or another odd file, libre does not read it or wait for
// it.
func TestFlakeFilesMustBeRegularFiles(t *testing.T) {
	n := requireNix(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	odd := testkit.OddFiles(t)
	odd["a link to a secret"] = secret
	for what, target := range odd {
		for _, name := range []string{"flake.nix", "flake.lock"} {
			dir, _, _ := strangers(t, "{ outputs = _: { }; }")
			_ = os.Remove(filepath.Join(dir, name))
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			testkit.Refused(t, name+" is "+what, func() error {
				err := opened(t, n, dir)
				if err != nil && strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%s: %v", what, err)
				}
				return err
			})
			if what == "a pipe" {
				_ = os.Remove(filepath.Join(dir, name))
				if err := os.Link(target, filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				testkit.Refused(t, name+" is a pipe itself", func() error { return opened(t, n, dir) })
			}
		}
	}
}

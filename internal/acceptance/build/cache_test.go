package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// keyPair makes the keys of a binary cache, and returns their files.
func keyPair(t *testing.T) (secret, public string) {
	t.Helper()
	dir := libre.TempDir(t)
	secret, public = filepath.Join(dir, "cache.key"), filepath.Join(dir, "cache.pub")
	libre.Tool(t, "nix-store", "--generate-binary-cache-key", "cache.example-1", secret, public)
	return secret, public
}

// trusting returns settings of a machine that may build nothing, and fetches from a cache.
func trusting(t *testing.T, cache, public string) string {
	t.Helper()
	key, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	return "substitute = true\nsubstituters = file://" + cache + "\ntrusted-public-keys = " + string(key) + "\nrequire-sigs = true\nmax-jobs = 0\n"
}

// The cache receives what one machine built, signed, and nothing else. Another machine that
// trusts its key builds nothing. One that does not trust it fetches nothing.
func TestCacheGetsWhatImagesAreMadeOf(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, app("one", builtElsewhere))
	c.flags = []string{"--package-set", "host"}
	cache := libre.TempDir(t)
	secret, public := keyPair(t)
	settings := "cache:\n  to: file://" + cache + "\n  key: " + secret + "\n"
	first := newMachine(t)

	// A failed copy is an error, although the images exist. The next run copies.
	writeFile(t, filepath.Join(c.dir, "libre.yaml"), strings.Replace(settings, cache, "/dev/null/cache", 1))
	stdout, stderr, code := first.run(t, c, "substitute = false", "build", "--all")
	want := referencesOf(stdout)
	if code != 1 || len(want) != 2 || strings.Count(stderr, "\nerror: copying to file:///dev/null/cache: ") != 1 || !strings.HasSuffix(stderr, "; run the same command again, which copies what is missing\n") {
		t.Errorf("to a folder that cannot be: exit code %d, %q\n%s", code, want, stderr)
	}
	writeFile(t, filepath.Join(c.dir, "libre.yaml"), settings)
	stdout, stderr, code = first.run(t, c, "substitute = false", "build", "--all")
	if code != 0 || !strings.Contains(stderr, "\nfile://"+cache+" has what the images are made of\n") || !strings.Contains(stderr, "2 unchanged") {
		t.Errorf("again: exit code %d, %s\n%s", code, stdout, stderr)
	}
	infos, err := filepath.Glob(filepath.Join(cache, "*.narinfo"))
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		content, err := os.ReadFile(info)
		path, _, _ := strings.Cut(string(content), "\n")
		if err != nil || !strings.Contains(string(content), "\nSig: cache.example-1:") || strings.HasSuffix(path, ".drv") || strings.HasSuffix(path, "-source") || strings.HasSuffix(path, "-passwd") {
			t.Errorf("the cache has %s, %v", content, err)
		}
	}

	writeFile(t, filepath.Join(c.dir, "libre.yaml"), "")
	for _, test := range []struct {
		name, settings string
		code           int
	}{
		{"that trusts the key", trusting(t, cache, public), 0},
		{"that trusts another key", trusting(t, cache, second(keyPair(t))), 1},
	} {
		if err := os.RemoveAll(c.dist()); err != nil {
			t.Fatal(err)
		}
		stdout, stderr, code := newMachine(t).run(t, c, test.settings, "build", "--all")
		if refused := strings.Contains(stderr, "is not signed by any of the keys in 'trusted-public-keys'"); refused != (test.code != 0) {
			t.Errorf("a machine %s refuses signatures: %t\n%s", test.name, refused, stderr)
		}
		if got := referencesOf(stdout); code != test.code || code == 0 && (!slices.Equal(got, want) || strings.Contains(stderr, "building ")) {
			t.Errorf("a machine %s: exit code %d, %q\n%s", test.name, code, got, stderr)
		}
	}
}

func second(_, b string) string { return b }

// The key is read before anything is evaluated. A key in a variable is in a file while libre
// runs, and in no argument. Who does not have the key builds all the same.
func TestCacheKeys(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, app("one", builtElsewhere))
	c.flags = []string{"--package-set", "host"}
	cache := libre.TempDir(t)
	secret, _ := keyPair(t)
	key, err := os.ReadFile(secret)
	if err != nil {
		t.Fatal(err)
	}
	tracked := filepath.Join(c.dir, "cache.key")
	writeFile(t, tracked, string(key))
	libre.Tool(t, "git", "-C", c.dir, "add", "--force", "cache.key")
	temporary := libre.TempDir(t)
	here := newMachine(t)
	for _, test := range []struct{ key, value, want string }{
		{"none.key", "", "warning: nothing is copied to file://" + cache + ", because there is no file " + c.dir + "/none.key (cache.key in libre.yaml)\n"},
		{"flake.nix", "", "error: git tracks flake.nix, a secret of libre.yaml: "},
		{"cache.key", "", "error: git tracks cache.key, a secret of libre.yaml: nix would copy it into the store, where every user can read it; git rm --cached cache.key, and add it to .gitignore\n"},
		{"env://CACHE_KEY", "", "warning: nothing is copied to file://" + cache + ", because CACHE_KEY is not set (cache.key in libre.yaml)\n"},
		{"env://CACHE_KEY", "s3cret", "env://CACHE_KEY has no secret key of Nix, which is NAME:BASE64; make one with "},
		{"env://CACHE_KEY", string(key), ""},
	} {
		writeFile(t, filepath.Join(c.dir, "libre.yaml"), "cache: {to: \"file://"+cache+"\", key: \""+test.key+"\"}\n")
		here.env = []string{"CACHE_KEY=" + test.value, "TMPDIR=" + temporary}
		if test.value == string(key) {
			libre.Tool(t, "git", "-C", c.dir, "rm", "--quiet", "--force", "cache.key")
		}
		_, stderr, code := here.run(t, c, "substitute = false", "build", "one/web/default")
		isWrong := test.want != "" && !strings.HasPrefix(test.want, "warning: ")
		if code == 0 == isWrong || strings.Count(stderr, test.want) != 1 && test.want != "" || strings.Contains(stderr, "s3cret") || isWrong && strings.Contains(stderr, "evaluating") {
			t.Errorf("%s: exit code %d, want %q\n%s", test.key, code, test.want, stderr)
		}
		if copied := len(names(t, cache)) > 0; copied != (test.want == "") {
			t.Errorf("%s: copied %t", test.key, copied)
		}
		if left, err := filepath.Glob(filepath.Join(temporary, "libre-key-*")); err != nil || len(left) > 0 {
			t.Errorf("%s: %q is left behind, %v", test.key, left, err)
		}
	}
}

// names returns the names of the files in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

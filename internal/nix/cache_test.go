package nix

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cacheKey writes a secret key into a file whose name must be escaped for Nix.
func cacheKey(t *testing.T) string {
	t.Helper()
	requireNix(t)
	file := filepath.Join(t.TempDir(), "a key & 100%+.secret")
	n := &Nix{}
	if _, err := n.run(t.Context(), "making a key", storeCall("--generate-binary-cache-key cache.example-1", file, file+".public")); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCopiesAreSigned(t *testing.T) {
	key := cacheKey(t)
	n, cache := &Nix{}, t.TempDir()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	source, err := n.AddSource(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	// The parameters of the address are kept.
	if err := n.CopyTo(t.Context(), BinaryCache{To: "file://" + cache + "?compression=none", KeyFile: key}, []string{source.Path}); err != nil {
		t.Fatal(err)
	}
	infos, err := filepath.Glob(filepath.Join(cache, "*.narinfo"))
	if err != nil || len(infos) != 1 {
		t.Fatalf("%q, %v", infos, err)
	}
	info, err := os.ReadFile(infos[0])
	if err != nil || !strings.Contains(string(info), "\nSig: cache.example-1:") || !strings.Contains(string(info), "\nCompression: none\n") {
		t.Errorf("%s, %v", info, err)
	}
}

// A file that is not a secret key is an error, which does not quote the file.
func TestWrongCacheKeys(t *testing.T) {
	good := "cache.example-1:" + base64.StdEncoding.EncodeToString(make([]byte, 64))
	for content, want := range map[string]bool{
		good: true, good + "\n": true, "": false, good[:len(good)-8]: false, good[len("cache.example-1"):]: false, "s3cret": false,
		"cache.example-1:" + base64.StdEncoding.EncodeToString(make([]byte, 32)): false, // a public key
		good + "\n" + good: false,
	} {
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		err := CheckCacheKey(file, file)
		if (err == nil) != want {
			t.Errorf("%q: %v", content, err)
		}
		if err != nil && (strings.Contains(err.Error(), "AAAA") || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "NAME:BASE64")) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if err := CheckCacheKey(filepath.Join(t.TempDir(), "none"), "none"); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("no file: %v", err)
	}
}

package signtest

import (
	"os"
	"path/filepath"
	"testing"
)

// EmptyRoot returns the name of a file with a trusted root that trusts nobody.
func EmptyRoot(t testing.TB) string {
	file := filepath.Join(t.TempDir(), "trusted_root.json")
	write(t, file, []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`))
	return file
}

func write(t testing.TB, file string, content []byte) {
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

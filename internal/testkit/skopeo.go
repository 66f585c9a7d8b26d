package testkit

import (
	"path/filepath"
	"testing"
)

// Skopeo returns the path of a skopeo that verifies Sigstore's signatures, from a newer Debian
// release. Debian 12 builds skopeo without that, so it refuses every such image.
func Skopeo(t testing.TB) string {
	t.Helper()
	bin := debianPrograms(t, "skopeo-trixie", "trixie", packagesOf("skopeo"), func(bin, root string) error {
		return wrapPrograms(bin, root, programScript, "skopeo")
	})
	return filepath.Join(bin, "skopeo")
}

package testkit

import (
	"path/filepath"
	"testing"
)

// Skopeo gives the path of a skopeo that verifies Sigstore's signatures, from a newer Debian
// release. Debian 12 builds its own without that, and it then refuses every image.
func Skopeo(t testing.TB) string {
	t.Helper()
	bin := debianPrograms(t, "skopeo-trixie", "trixie", packagesOf("skopeo"), func(bin, root string) error {
		return wrapPrograms(bin, root, programScript, "skopeo")
	})
	return filepath.Join(bin, "skopeo")
}

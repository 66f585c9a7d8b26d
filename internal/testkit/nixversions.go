package testkit

import "testing"

// DebianNix returns a folder with the nix of another Debian release, such as trixie: its
// package and libraries, unpacked beside the system's. They are fetched once and kept. Never
// run it on the machine's /nix: it would convert the database to a version that an older nix
// cannot read.
func DebianNix(t testing.TB, release string) (bin string) {
	t.Helper()
	return debianPrograms(t, "nix-"+release, release, packagesOf("nix-bin"), wrapNix)
}

// nixScript starts a program with its own release's loader and libraries. For builds, Nix
// starts itself again from NIX_BIN_DIR, and its sandbox needs a shell that is installed beside
// it.
const nixScript = `#!/bin/sh
export NIX_BIN_DIR=%[1]s
export NIX_CONFIG="sandbox-paths = /bin/sh=%[2]s/usr/bin/bash-static
$NIX_CONFIG"
exec %[4]s --library-path %[5]s --argv0 %[3]s %[2]s/usr/bin/%[3]s "$@"
`

func wrapNix(bin, root string) error {
	return wrapPrograms(bin, root, nixScript, "nix", "nix-store", "nix-instantiate")
}

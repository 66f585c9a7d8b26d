package testkit

import "testing"

// DebianNix gives a folder with the nix of another Debian release, such as trixie: its
// package and the libraries that this needs, unpacked beside the system's. They are
// fetched once and kept. Never let it run on the machine's /nix, whose database it
// would change to one that an older nix does not read.
func DebianNix(t testing.TB, release string) (bin string) {
	t.Helper()
	return debianPrograms(t, "nix-"+release, release, packagesOf("nix-bin"), wrapNix)
}

// nixScript starts a program with its own release's loader and libraries. Nix starts
// itself again for builds, by NIX_BIN_DIR, and its sandbox has a shell that is
// installed beside it.
const nixScript = `#!/bin/sh
export NIX_BIN_DIR=%[1]s
export NIX_CONFIG="sandbox-paths = /bin/sh=%[2]s/usr/bin/bash-static
$NIX_CONFIG"
exec %[4]s --library-path %[5]s --argv0 %[3]s %[2]s/usr/bin/%[3]s "$@"
`

func wrapNix(bin, root string) error {
	return wrapPrograms(bin, root, nixScript, "nix", "nix-store", "nix-instantiate")
}

package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// DebianNix gives a folder with the nix of another Debian release, such as trixie: its
// package and the libraries that this needs, unpacked beside the system's. They are
// fetched once and kept. Never let it run on the machine's /nix, whose database it
// would change to one that an older nix does not read.
func DebianNix(t testing.TB, release string) (bin string) {
	t.Helper()
	// Perl is left out: only the setup scripts of packages want it.
	names := `$(apt-get install --quiet=2 --yes --print-uris nix-bin | sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p" | grep -v perl)`
	return debianPrograms(t, "nix-"+release, release, names, wrapNix)
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

// wrapNix writes the programs that start nix, last of all the folder they are in.
func wrapNix(bin, root string) error {
	loaders, err := filepath.Glob(filepath.Join(root, "usr/lib/*/ld-linux*.so.*"))
	if err != nil || len(loaders) != 1 {
		return fmt.Errorf("looking for the loader in %s: %v, %w", root, loaders, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(bin), ".bin-")
	if err != nil {
		return err
	}
	for _, program := range []string{"nix", "nix-store", "nix-instantiate"} {
		script := fmt.Sprintf(nixScript, bin, root, program, loaders[0], filepath.Dir(loaders[0]))
		if err := os.WriteFile(filepath.Join(work, program), []byte(script), 0o755); err != nil {
			return err
		}
	}
	return os.Rename(work, bin)
}

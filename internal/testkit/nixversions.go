package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// DebianNix gives a folder with the nix of another Debian release, such as trixie: its
// package and the libraries that this needs, unpacked beside the system's. They are
// fetched once and kept. Never let it run on the machine's /nix, whose database it
// would change to one that an older nix does not read.
func DebianNix(t testing.TB, release string) (bin string) {
	t.Helper()
	Require(t, "apt-get", "dpkg-deb")
	archive := debianArchive(t)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "libre-tools", "nix-"+release)
	unlock, err := lock(folder + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	bin = filepath.Join(folder, "bin")
	if _, err := os.Stat(bin); err == nil {
		return bin
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(folder, "root")
	if err := unpackPackages(folder, root, archive, release); err != nil {
		t.Fatal(err)
	}
	if err := wrapNix(bin, root); err != nil {
		t.Fatal(err)
	}
	return bin
}

// debianArchive is where this machine's apt has its packages from.
func debianArchive(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `. /etc/os-release
apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^Debian $VERSION_CODENAME //p" | head -n 1`).Output()
	archive := strings.TrimSpace(string(out))
	Needed(t, err == nil && archive != "", "a package archive of Debian")
	return archive
}

// aptConfig keeps apt to folders of its own, as if nothing were installed.
const aptConfig = `Dir::State "%[1]s/state";
Dir::State::status "/dev/null";
Dir::Cache "%[1]s/cache";
Dir::Etc::SourceList "%[1]s/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
`

// unpackPackages unpacks nix-bin and what it needs into root. Perl is left out: only
// the setup scripts of packages want it.
func unpackPackages(folder, root, archive, release string) error {
	for _, dir := range []string{"state/lists/partial", "cache/archives/partial", "packages", "root"} {
		if err := os.MkdirAll(filepath.Join(folder, dir), 0o755); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"apt.conf":     fmt.Sprintf(aptConfig, folder),
		"sources.list": fmt.Sprintf("deb %s %s main\n", archive, release),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	fetch := exec.Command("sh", "-euc", `apt-get update --quiet=2
names=$(apt-get install --quiet=2 --yes --print-uris nix-bin | sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p" | grep -v perl)
apt-get download --quiet=2 $names
for package in *.deb; do dpkg-deb --extract "$package" "$1"; rm "$package"; done`, "sh", root)
	fetch.Dir = filepath.Join(folder, "packages")
	fetch.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(folder, "apt.conf"))
	if out, err := fetch.CombinedOutput(); err != nil {
		return fmt.Errorf("fetching nix of %s: %w\n%s", release, err, out)
	}
	return nil
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
		return fmt.Errorf("looking for the loader in %s: %v, %v", root, loaders, err)
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

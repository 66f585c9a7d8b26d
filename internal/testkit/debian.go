package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// debianPrograms returns a folder with programs of another Debian release. It fetches the
// packages once, unpacks them beside the system's, and keeps them. link comes last: it
// fills the folder bin with links to programs below root.
func debianPrograms(t testing.TB, name, release, packages string, link func(bin, root string) error) (bin string) {
	t.Helper()
	Require(t, "apt-get", "dpkg-deb")
	archive := debianArchive(t)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "libre-tools", name)
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
	if err := unpackPackages(folder, root, archive, release, packages); err != nil {
		t.Fatal(err)
	}
	if err := link(bin, root); err != nil {
		t.Fatal(err)
	}
	return bin
}

// DebianRoot returns a tar file with the root file system of this machine's release of Debian:
// its essential packages, installed, and below /packages the files of others. It is made once
// and kept.
func DebianRoot(t testing.TB, others ...string) (tarball string) {
	t.Helper()
	RequireRoot(t)
	Require(t, "mmdebstrap")
	archive := debianArchive(t)
	release, err := exec.Command("sh", "-c", ". /etc/os-release; printf %s $VERSION_CODENAME").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	tarball = filepath.Join(cache, "libre-tools", strings.Join(append([]string{"root", string(release)}, others...), "-")+".tar")
	unlock, err := lock(tarball + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := os.Stat(tarball); err == nil {
		return tarball
	}
	work := filepath.Join(t.TempDir(), "root.tar")
	strap := exec.Command("mmdebstrap", "--quiet", "--mode=root", "--variant=essential",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		`--customize-hook=mkdir "$1/packages"; cd "$1/packages"; apt-get download `+strings.Join(others, " "),
		string(release), work, archive)
	if out, err := strap.CombinedOutput(); err != nil {
		t.Fatalf("making a root file system of Debian: %v\n%s", err, out)
	}
	if out, err := exec.Command("mv", work, tarball).CombinedOutput(); err != nil {
		t.Fatalf("keeping it: %v\n%s", err, out)
	}
	return tarball
}

// debianArchive returns the URL from which this machine's apt gets its packages.
func debianArchive(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `. /etc/os-release
apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^Debian $VERSION_CODENAME //p" | head -n 1`).Output()
	archive := strings.TrimSpace(string(out))
	Needed(t, err == nil && archive != "", "a package archive of Debian")
	return archive
}

// aptConfig makes apt use separate folders, as if nothing were installed.
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

// unpackPackages unpacks packages of a release into root. names are arguments of apt-get for
// the shell.
func unpackPackages(folder, root, archive, release, names string) error {
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
apt-get download --quiet=2 `+names+`
for package in *.deb; do dpkg-deb --extract "$package" "$1"; rm "$package"; done`, "sh", root)
	fetch.Dir = filepath.Join(folder, "packages")
	fetch.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(folder, "apt.conf"))
	if out, err := fetch.CombinedOutput(); err != nil {
		return fmt.Errorf("fetching %s of %s: %w\n%s", filepath.Base(folder), release, err, out)
	}
	return nil
}

// packagesOf returns an argument for debianPrograms: a package and its dependencies, without
// Perl, which only the setup scripts of packages need.
func packagesOf(name string) string {
	return `$(apt-get install --quiet=2 --yes --print-uris ` + name + ` | sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p" | grep -v perl)`
}

// programScript starts a program with its own release's loader and libraries.
const programScript = `#!/bin/sh
exec %[4]s --library-path %[5]s --argv0 %[3]s %[2]s/usr/bin/%[3]s "$@"
`

// wrapPrograms writes scripts that start programs. It writes the folder last, when it is
// complete. script is a format for bin, root, the program, the loader and the folder of
// libraries.
func wrapPrograms(bin, root, script string, programs ...string) error {
	loaders, err := filepath.Glob(filepath.Join(root, "usr/lib/*/ld-linux*.so.*"))
	if err != nil || len(loaders) != 1 {
		return fmt.Errorf("looking for the loader in %s: %v, %w", root, loaders, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(bin), ".bin-")
	if err != nil {
		return err
	}
	for _, program := range programs {
		text := fmt.Sprintf(script, bin, root, program, loaders[0], filepath.Dir(loaders[0]))
		if err := os.WriteFile(filepath.Join(work, program), []byte(text), 0o755); err != nil {
			return err
		}
	}
	return os.Rename(work, bin)
}

package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/settings"
)

func TestDoctorNamesWhatAnEngineHas(t *testing.T) {
	for engine, want := range map[*containerfile.Engine]string{
		{Name: "buildah", Version: "1.28.2"}: "note buildah 1.28.2 has CVE-2024-1753, CVE-2024-9407, CVE-2024-9675, CVE-2024-9676, CVE-2024-11218,",
		{Name: "buildah", Version: "1.38.0"}: "note buildah 1.38.0 has CVE-2024-11218,",
		{Name: "podman", Version: "4.9.4"}:   "note podman 4.9.4 has CVE-2024-9407, ",
		{Name: "podman", Version: "5.3.2"}:   "ok podman 5.3.2",
		{Name: "docker", Version: "28.0.0"}:  "ok docker 28.0.0",
	} {
		got := knownEngine(*engine)
		if said := string(got.State) + " " + got.Found; !strings.HasPrefix(said, want) {
			t.Errorf("%s: %s", engine, said)
		}
		if got.State == "note" && !strings.Contains(got.Found, "libre copies what steps mount") {
			t.Errorf("%s: what follows is not said: %s", engine, got.Found)
		}
	}
}

// FOUND has the complete reason, and FIX only what to do.
func TestFixIsNotPartOfTheReason(t *testing.T) {
	programs := func(versions map[string]string) {
		dir := t.TempDir()
		for name, version := range versions {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n[ \"$1\" = --version ] && echo '"+version+"' && exit\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", dir)
	}
	const buildah = "apt-get install buildah runc slirp4netns"
	for _, c := range []struct {
		configured string
		installed  map[string]string
		want       Check
	}{
		{"", nil, Check{State: Note, Found: "no engine to build Containerfiles (for Containerfile components)", Fix: buildah}},
		{"podman", nil, Check{State: Missing, Found: "podman is not installed; libre.yaml or LIBRE_ENGINE asks for this engine", Fix: "apt-get install podman slirp4netns"}},
		{"buildah", map[string]string{"buildah": "buildah version 1.23.1"}, Check{State: Missing, Found: "buildah 1.23.1 is too old: 1.28 or newer is needed; libre.yaml or LIBRE_ENGINE asks for this engine", Fix: buildah}},
		{"", map[string]string{"podman": "podman version 3.4.0"}, Check{State: Note, Found: "no engine to build Containerfiles (podman 3.4.0 is too old: 4.3 or newer is needed) (for Containerfile components)", Fix: buildah}},
	} {
		programs(c.installed)
		got := Subject{Settings: &settings.Settings{Engine: containerfile.Choice{Name: c.configured}}}.engine(t.Context())[0]
		if got.State != c.want.State || got.Found != c.want.Found || got.Fix != c.want.Fix {
			t.Errorf("%q, %s: %+v", c.configured, c.installed, got)
		}
	}
	programs(nil)
	got := Subject{PackageSet: nix.HostPackageName}.packageSet(t.Context())[0]
	if got.State != Missing || got.Found != "no Go toolchain" || got.Fix != "install Go from https://go.dev/dl" {
		t.Errorf("%+v", got)
	}
}

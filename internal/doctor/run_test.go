package doctor

import (
	"strings"
	"testing"
)

// A missing server for libre run is a note with the command to type, because no other command
// needs it.
func TestServersOfThisMachineAreNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for engine, want := range map[string]string{
		"podman": "; this machine has neither Valkey nor Redis: libre run needs images of what is missing",
		"runc":   "; this machine has neither Valkey nor Redis: libre run cannot run an app that needs it, because runc cannot fetch images",
	} {
		got := servers(t.Context(), engine)
		if got.State != Note || !strings.HasPrefix(got.Found, "PostgreSQL ") || !strings.HasSuffix(got.Found, want) || got.Fix != "apt-get install redis-server" {
			t.Errorf("%s: %+v", engine, got)
		}
	}
}

func TestDockerTooOldForZstdIsNamed(t *testing.T) {
	for version, want := range map[string]State{"20.10.24+dfsg1": Wrong, "23.0.0": OK, "28.2.2": OK, "nonsense": Wrong} {
		if got := dockerReadsZstd(version, nil); got.State != want {
			t.Errorf("%s: %+v", version, got)
		}
	}
}

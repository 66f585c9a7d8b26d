package doctor

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/containerfile"
)

func TestDoctorNamesWhatAnEngineHas(t *testing.T) {
	for engine, want := range map[containerfile.Engine]string{
		{Name: "buildah", Version: "1.28.2"}: "note buildah 1.28.2 has CVE-2024-1753, CVE-2024-9407, CVE-2024-9675, CVE-2024-9676, CVE-2024-11218,",
		{Name: "buildah", Version: "1.38.0"}: "note buildah 1.38.0 has CVE-2024-11218,",
		{Name: "podman", Version: "4.9.4"}:   "note podman 4.9.4 has CVE-2024-9407, ",
		{Name: "podman", Version: "5.3.2"}:   "ok podman 5.3.2",
		{Name: "docker", Version: "28.0.0"}:  "ok docker 28.0.0",
	} {
		got := knownEngine(engine)
		if said := string(got.State) + " " + got.Found; !strings.HasPrefix(said, want) {
			t.Errorf("%s: %s", engine, said)
		}
		if got.State == "note" && !strings.Contains(got.Found, "libre copies what steps mount") {
			t.Errorf("%s: what follows is not said: %s", engine, got.Found)
		}
	}
}

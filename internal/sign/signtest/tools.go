//go:build interop

package signtest

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// A tool is one of Sigstore's programs in one version.
type tool struct{ pkg, version string }

var (
	fulcio    = tool{"github.com/sigstore/fulcio", "v1.8.8"}
	timestamp = tool{"github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server", "v2.1.2"}
	rekor     = tool{"github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix", "v2.3.0"}
)

func cosign(version string) tool {
	major, _, _ := strings.Cut(version, ".")
	return tool{"github.com/sigstore/cosign/" + major + "/cmd/cosign", version}
}

func tools() []tool {
	all := []tool{fulcio, timestamp, rekor}
	for _, version := range CosignVersions {
		all = append(all, cosign(version))
	}
	return all
}

// get builds the program and returns its path.
func (tool tool) get(t testing.TB) string { return testkit.GoProgram(t, tool.pkg, tool.version) }

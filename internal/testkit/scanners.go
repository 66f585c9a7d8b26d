//go:build interop

package testkit

import "testing"

// Versions of the scanners that tests compare with.
const (
	grypeVersion = "v0.120.1" // the library's in go.mod
	trivyVersion = "v0.74.0"
)

// Grype returns the path of grype.
func Grype(t testing.TB) string {
	t.Helper()
	return GoProgram(t, "github.com/anchore/grype/cmd/grype", grypeVersion)
}

// Trivy returns the path of Trivy.
func Trivy(t testing.TB) string {
	t.Helper()
	return GoProgram(t, "github.com/aquasecurity/trivy/cmd/trivy", trivyVersion, "GOEXPERIMENT=jsonv2")
}

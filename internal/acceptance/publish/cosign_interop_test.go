//go:build interop

package publish

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/sign/signtest"
	"github.com/libresh/libre/internal/vex"
)

// cosign accepts pushed images with the command lines that libre verify --print-cosign prints,
// and the attestations of the index and its child.
func TestInteropCosignVerifiesWhatIsPushed(t *testing.T) {
	t.Parallel()
	for _, format := range []sign.Format{sign.Bundle, sign.Classic} {
		for _, kind := range []string{"referrers", "docker-registry"} {
			t.Run(fmt.Sprint(format, "/", kind), func(t *testing.T) {
				t.Parallel()
				testCosign(t, format, kind)
			})
		}
	}
}

func testCosign(t *testing.T, format sign.Format, kind string) {
	c := formatted(t, format).copy(t)
	reg := newWatched(t, kind, format)
	for _, stated := range []string{statedOpen, statedFixed} { // the second is attached to what is published
		c.file(t, "apps/one/vex.yaml", stated)
		c.run("push", "one/*/default", "--to", reg.prefix()).want(t, 0)
	}
	verified := c.run("verify", "one/*/default", "--print-cosign", "--to", reg.prefix()).want(t, 0)
	lines := cosignLines(verified)
	if len(lines) != 4 {
		t.Fatalf("libre verify --print-cosign prints %d lines for cosign, want one for the record and each of 3 images:\n%s", len(lines), verified.stderr)
	}
	index, err := name.NewDigest(reg.prefix() + "/one-pages-default@" + undisturbed(t)["one-pages-default:1.0-1"])
	if err != nil {
		t.Fatal(err)
	}
	p := policy(t, c, format)
	for _, subject := range append(children(t, index), index) {
		for _, kind := range append([]string{"cyclonedx", "openvex", vex.CycloneDXType}, attestations...) {
			lines = append(lines, p.CosignCommand(subject, kind, "cosign.pub"))
		}
	}
	for _, version := range signtest.CosignVersions {
		t.Run(version, func(t *testing.T) {
			shell := signtest.NewShell(t, version)
			for _, line := range lines {
				if output, err := shell.Run(c.dir, shell.WithKey(t, line)); err != nil {
					t.Errorf("%s: %v\n%s", line, err, output)
				}
			}
		})
	}
}

// cosignLines returns the command lines that libre verify --print-cosign prints.
func cosignLines(verified outcome) []string {
	return slices.DeleteFunc(strings.Split(verified.stderr, "\n"), func(line string) bool { return !strings.HasPrefix(line, "cosign verify ") })
}

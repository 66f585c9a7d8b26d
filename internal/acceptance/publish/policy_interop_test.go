//go:build interop

package publish

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// policy-controller admits, with the policy that libre renders, what the catalogue's key
// signed in the format classic.
func TestInteropPolicyControllerAdmitsBySignature(t *testing.T) {
	t.Parallel()
	c := formatted(t, sign.Classic)
	first, second := newWatched(t, "docker-registry", ""), newWatched(t, "referrers", "")
	c.run("push", two, "--to", first.prefix(), "--to", second.prefix()).want(t, 0)
	copyImage(t, "oci:"+c.dir+"/dist:two-web-default:2-3", first, "others-default:1")
	other := formatted(t, sign.Classic).copy(t)
	other.run("keygen", "--output", "other").want(t, 0)
	other.run("push", "one/*/default", "--key", "other.key", "--to", first.prefix()).want(t, 0)
	bundles := newWatched(t, "referrers", sign.Bundle)
	shared(t).run("push", two, "--to", bundles.prefix()).want(t, 0)

	rendered := func(c catalogue, to ...string) string {
		folder := t.TempDir()
		args := []string{"render", "--cosign-policy", "--output", folder}
		for _, prefix := range to {
			args = append(args, "--to", prefix)
		}
		c.run(args...).want(t, 0)
		return filepath.Join(folder, "policy-controller.yaml")
	}
	policy := rendered(c, first.prefix(), second.prefix())
	other.file(t, "libre.yaml", "sign:\n  format: classic\n  publicKey: [other.pub, cosign.pub]\n")
	either := rendered(other, first.prefix())
	for _, test := range []struct{ name, policy, reference, refusal string }{
		{"by tag", policy, first.prefix() + "/two-web-default:2-3", ""},
		{"by digest", policy, first.prefix() + "/two-web-default@" + undisturbed(t)["two-web-default:2-3"], ""},
		{"the copy", policy, second.prefix() + "/two-job-default:2-3", ""},
		{"unsigned", policy, first.prefix() + "/others-default:1", "no signatures found"},
		{"of another key", policy, first.prefix() + "/one-pages-default:1.0-1", "signature key validation failed"},
		{"either of two keys", either, first.prefix() + "/one-pages-default:1.0-1", ""},
		{"the other of two keys", either, first.prefix() + "/two-web-default:2-3", ""},
		{"elsewhere", policy, bundles.prefix() + "/two-web-default:2-3", "is uncovered by policy"},
		{"a bundle", rendered(c, bundles.prefix()), bundles.prefix() + "/two-web-default:2-3", "no signatures found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := exec.Command(testkit.PolicyTester(t), "-log-level", "error", "-policy", test.policy, "-image", test.reference).CombinedOutput()
			switch {
			case test.refusal == "" && err != nil:
				t.Errorf("%s is refused: %v\n%s", test.reference, err, out)
			case test.refusal != "" && (err == nil || !strings.Contains(string(out), test.refusal)):
				t.Errorf("%s is admitted, or refused otherwise: %v\n%s", test.reference, err, out)
			}
		})
	}
}

//go:build interop

package publish

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/sign/signtest"
	"github.com/libresh/libre/internal/testkit"
)

// With the policy that libre renders, policy-controller admits images that the catalogue's key
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
		t.Run(test.name, func(t *testing.T) { askPolicy(t, test.reference, test.refusal, "-policy", test.policy) })
	}
}

// With bundles, it admits images that an identity signed, with a private instance of Sigstore.
func TestInteropPolicyControllerAdmitsByIdentity(t *testing.T) {
	t.Parallel()
	stack := signtest.StartStack(t)
	c := shared(t).copy(t)
	config := keyless(t, c, stack, sign.Bundle)
	c.sign(t, config, `ci@example\.org`)
	if err := os.WriteFile(filepath.Join(c.dir, "token"), []byte(stack.Issuer.Token(t, time.Hour)), 0o600); err != nil {
		t.Fatal(err)
	}
	reg, keys := newWatched(t, "referrers", ""), newWatched(t, "referrers", sign.Bundle)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	copyImage(t, "oci:"+c.dir+"/dist:two-web-default:2-3", reg, "others-default:1")
	shared(t).run("push", two, "--to", keys.prefix()).want(t, 0)
	for _, test := range []struct{ name, subject, reference, refusal string }{
		{"by tag", `ci@example\.org`, reg.prefix() + "/two-web-default:2-3", ""},
		{"by digest", `ci@.*`, reg.prefix() + "/two-web-default@" + undisturbed(t)["two-web-default:2-3"], ""},
		{"unsigned", `ci@example\.org`, reg.prefix() + "/others-default:1", "no valid bundles exist in registry"},
		{"another identity", `release@example\.org`, reg.prefix() + "/two-web-default:2-3", "no matching CertificateIdentity found"},
		{"a part of the identity", `ci@example`, reg.prefix() + "/two-web-default:2-3", "no matching CertificateIdentity found"},
		{"a key", `ci@example\.org`, keys.prefix() + "/two-web-default:2-3", "validation failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.sign(t, config, test.subject)
			folder := t.TempDir()
			c.run("render", "--cosign-policy", "--output", folder, "--to", reg.prefix(), "--to", keys.prefix()).want(t, 0)
			askPolicy(t, test.reference, test.refusal, "-policy", filepath.Join(folder, "policy-controller.yaml"), "-trustroot", filepath.Join(folder, "policy-controller-trust-root.yaml"))
		})
	}
}

// askPolicy checks an image with policy-controller's tester. refusal is the expected reason; ""
// means that the image is admitted.
func askPolicy(t *testing.T, reference, refusal string, args ...string) {
	t.Helper()
	out, err := exec.Command(testkit.PolicyTester(t), append(args, "-log-level", "error", "-image", reference)...).CombinedOutput()
	switch {
	case refusal == "" && err != nil:
		t.Errorf("%s is refused: %v\n%s", reference, err, out)
	case refusal != "" && (err == nil || !strings.Contains(string(out), refusal)):
		t.Errorf("%s is admitted, or refused otherwise: %v\n%s", reference, err, out)
	}
}

//go:build interop

package publish

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// With the policy that libre renders, Kyverno admits pods whose images the catalogue's key
// signed, in both formats. It replaces tags with digests only in a cluster.
func TestInteropKyvernoAdmitsBySignature(t *testing.T) {
	t.Parallel()
	index := undisturbed(t)
	web, pages := "/two-web-default@"+index["two-web-default:2-3"], "/one-pages-default@"+index["one-pages-default:1.0-1"]
	for format, kind := range map[sign.Format]string{sign.Bundle: "referrers", sign.Classic: "docker-registry"} {
		t.Run(string(format), func(t *testing.T) {
			c := formatted(t, format).copy(t)
			reg := newWatched(t, kind, "")
			c.run("push", two, "--to", reg.prefix()).want(t, 0)
			copyImage(t, "oci:"+c.dir+"/dist:two-web-default:2-3", reg, "others-default:1")
			c.run("keygen", "--output", "other").want(t, 0)
			c.run("push", "one/*/default", "--key", "other.key", "--to", reg.prefix()).want(t, 0)

			folder := t.TempDir()
			c.run("render", "--cosign-policy=kyverno", "--output", folder, "--to", reg.prefix()).want(t, 0)
			either := t.TempDir()
			c.file(t, "libre.yaml", fmt.Sprintf("sign:\n  format: %s\n  publicKey: [cosign.pub, other.pub]\n", format))
			c.run("render", "--cosign-policy=kyverno", "--output", either, "--to", reg.prefix()).want(t, 0)
			const unsigned = "an image is not signed by its catalogue"
			for _, test := range []struct{ name, folder, image, refusal string }{
				{"signed", folder, reg.prefix() + web, ""},
				{"unsigned", folder, reg.prefix() + "/others-default@" + index["two-web-default:2-3"], unsigned},
				{"of another key", folder, reg.prefix() + pages, unsigned},
				{"the first of two keys", either, reg.prefix() + web, ""},
				{"the other of two keys", either, reg.prefix() + pages, ""},
				{"unsigned with two keys", either, reg.prefix() + "/others-default@" + index["two-web-default:2-3"], unsigned},
				{"of a registry without a policy", folder, "127.0.0.1:1/others@" + index["two-web-default:2-3"], ""},
			} {
				t.Run(test.name, func(t *testing.T) {
					for _, containers := range []string{"containers", "initContainers"} {
						askKyverno(t, filepath.Join(test.folder, "kyverno.yaml"), containers, test.image, test.refusal)
					}
				})
			}
		})
	}
}

// askKyverno checks a pod with an image in a list of containers. refusal is the expected
// reason; "" means that the pod is admitted.
func askKyverno(t *testing.T, policy, containers, image, refusal string) {
	t.Helper()
	pod := filepath.Join(t.TempDir(), "pod.yaml")
	text := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: pod, namespace: default}\nspec: {%s: [{name: one, image: \"%s\"}]}\n", containers, image)
	if containers != "containers" {
		text = strings.Replace(text, "spec: {", "spec: {containers: [], ", 1)
	}
	if err := os.WriteFile(pod, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(testkit.Kyverno(t), "apply", policy, "--resource", pod, "--registry", "--detailed-results").CombinedOutput()
	switch {
	case refusal == "" && (err != nil || !strings.Contains(string(out), "pass: 1, fail: 0, warn: 0, error: 0")):
		t.Errorf("%s of %s is refused: %v\n%s", image, containers, err, out)
	case refusal != "" && (err == nil || !strings.Contains(string(out), refusal)):
		t.Errorf("%s of %s is admitted, or refused otherwise: %v\n%s", image, containers, err, out)
	}
}

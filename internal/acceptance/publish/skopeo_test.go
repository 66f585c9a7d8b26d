package publish

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/testkit"
)

// With the policy that libre renders, skopeo pulls images that the catalogue signed for the
// repository that they are in, and no others from there.
func TestSkopeoPullsBySignature(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "skopeo")
	c := formatted(t, sign.Classic)
	first, second := newWatched(t, "docker-registry", ""), newWatched(t, "referrers", "")
	c.run("push", two, "--to", first.prefix(), "--to", second.prefix()).want(t, 0)
	for _, reg := range []*watched{first, second} { // images that others pushed there
		copyImage(t, "oci:"+c.dir+"/dist:two-web-default:2-3", reg, "others-default:1")
	}
	other := formatted(t, sign.Classic).copy(t)
	other.run("keygen", "--output", "other").want(t, 0)
	other.run("push", "one/*/default", "--key", "other.key", "--to", first.prefix()).want(t, 0)

	folder := t.TempDir()
	c.run("render", "--policy", "--to", first.prefix(), "--to", second.prefix(), "--output", folder).want(t, 0)
	index := undisturbed(t)["two-web-default:2-3"]
	// This is the image with its signatures, in another repository than it was signed for.
	signed := mustTag(t, first.prefix()+"/two-web-default:2-3")
	copied := []string{"2-3"}
	for _, digest := range append(children(t, signed), signed.Context().Digest(index)) {
		copied = append(copied, strings.Replace(digest.DigestStr(), ":", "-", 1)+".sig")
	}
	for _, tag := range copied {
		copyImage(t, "docker://"+first.prefix()+"/two-web-default:"+tag, first, "two-job-debug:"+tag)
		copyImage(t, "docker://"+first.prefix()+"/two-web-default:"+tag, second, "two-job-debug:"+tag)
	}
	unpoliced := newWatched(t, "referrers", "")
	copyImage(t, "oci:"+c.dir+"/dist:two-web-default:2-3", unpoliced, "others-default:1")
	for _, test := range []struct{ name, reference, refusal string }{
		{"by tag", first.prefix() + "/two-web-default:2-3", ""},
		{"by digest", first.prefix() + "/two-web-default@" + index, ""},
		{"another image", first.prefix() + "/two-job-default:2-3", ""},
		{"the copy", second.prefix() + "/two-web-default:2-3", ""},
		{"the copy by digest", second.prefix() + "/two-web-default@" + index, ""},
		{"unsigned", first.prefix() + "/others-default:1", "A signature was required, but no signature exists"},
		{"unsigned, beside the copies", second.prefix() + "/others-default:1", "rejected by policy"},
		{"of another key", first.prefix() + "/one-pages-default:1.0-1", "signature"},
		{"for another repository", first.prefix() + "/two-job-debug:2-3", "is not accepted"},
		{"for another repository, beside the copies", second.prefix() + "/two-job-debug:2-3", "is not accepted"},
		{"unsigned, of somebody else", unpoliced.prefix() + "/others-default:1", ""},
	} {
		t.Run(test.name, func(t *testing.T) { pullByPolicy(t, folder, test.reference, test.refusal) })
	}
	t.Run("either of two keys", func(t *testing.T) {
		other.file(t, "libre.yaml", "sign:\n  format: classic\n  publicKey: [other.pub, {file: cosign.pub, until: 2999-12-31}]\n")
		other.run("render", "--policy", "--to", first.prefix(), "--output", folder).want(t, 0)
		pullByPolicy(t, folder, first.prefix()+"/one-pages-default:1.0-1", "")
		pullByPolicy(t, folder, first.prefix()+"/two-web-default:2-3", "")
		pullByPolicy(t, folder, first.prefix()+"/others-default:1", "A signature was required, but no signature exists")
	})
}

// In the default format skopeo finds no signature, so render refuses to write a policy for it.
func TestSkopeoReadsNoBundles(t *testing.T) {
	t.Parallel()
	c := shared(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	folder := t.TempDir()
	refused := c.run("render", "--policy", "--to", reg.prefix(), "--output", folder).want(t, 1)
	if !strings.Contains(refused.stderr, "set sign: {format: classic} in libre.yaml") {
		t.Errorf("render:\n%s", refused.stderr)
	}
	classic := formatted(t, sign.Classic)
	classic.run("render", "--policy", "--to", reg.prefix(), "--output", folder).want(t, 0)
	pullByPolicy(t, folder, reg.prefix()+"/two-web-default:2-3", "A signature was required, but no signature exists")
	// This is the fix in the error.
	classic.run("push", two, "--to", reg.prefix()).want(t, 0)
	pullByPolicy(t, folder, reg.prefix()+"/two-web-default:2-3", "")
}

func copyImage(t *testing.T, from string, to *watched, name string) {
	t.Helper()
	libre.Tool(t, "skopeo", "copy", "--quiet", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", from, "docker://"+to.prefix()+"/"+name)
}

// pullByPolicy pulls an image with the policy in a folder. refusal is the expected reason; ""
// means that the pull succeeds.
func pullByPolicy(t *testing.T, folder, reference, refusal string) {
	t.Helper()
	pull := exec.Command(testkit.Skopeo(t), "--policy", filepath.Join(folder, "policy.json"), "--registries.d", filepath.Join(folder, "registries.d"),
		"copy", "--src-tls-verify=false", "docker://"+reference, "dir:"+t.TempDir())
	_, said, err := testkit.Output(pull)
	switch {
	case refusal == "" && err != nil:
		t.Errorf("skopeo refuses %s: %v\n%s", reference, err, said)
	case refusal != "" && (err == nil || !strings.Contains(said, refusal)):
		t.Errorf("skopeo pulls %s, or says something else than %q: %v\n%s", reference, refusal, err, said)
	}
}

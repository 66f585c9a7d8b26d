package publish

import (
	"net/http"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/sign"
)

// With --trust-records there is one request for an image, the HEAD of its tag. Only statements
// about an image, of which a record says nothing, let it look at the image's attachments.
func TestTrustedRecordsNeedOneRequestForAnImage(t *testing.T) {
	t.Parallel()
	const selection, images, note = "one/*/default", 3, "the attachments of published images were not looked at (--trust-records)"
	c := shared(t).copy(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	reg.lenient = true
	c.run("push", selection, "--to", reg.prefix()).want(t, 0)
	reg.detach(t, false, reg.subjects(t, "one-web-default:1.0-1"), sign.SignatureType)

	for command, unchanged := range map[string]string{"push": "\tunchanged", "plan": "\tnothing\t"} {
		seen := reg.record(0)
		got := c.run(command, selection, "--to", reg.prefix(), "--trust-records").want(t, 0)
		of := seen.of(func(x *exchange) bool { return x.repository != "one-default" })
		for _, x := range of {
			if x.method != http.MethodHead || x.subject != "1.0-1" {
				t.Errorf("%s: %s %s %s", command, x.method, x.repository, x.subject)
			}
		}
		if len(of) != images || strings.Count(got.stdout, unchanged) < images || !strings.Contains(got.stderr, note) {
			t.Errorf("%s: %d requests\n%s%s", command, len(of), got.stdout, got.stderr)
		}
	}
	c.run("push", selection, "--to", reg.prefix(), "--trust-records", "--deep").want(t, 2)

	if got := c.run("push", selection, "--to", reg.prefix()).want(t, 0); strings.Count(got.stdout, "\tattached\t") != 1 || strings.Contains(got.stderr, note) {
		t.Errorf("without --trust-records:\n%s%s", got.stdout, got.stderr)
	}

	c.file(t, "apps/one/vex.yaml", statedOpen)
	if got := c.run("push", selection, "--to", reg.prefix(), "--trust-records").want(t, 0); strings.Count(got.stdout, "\tattached\t") != images {
		t.Errorf("with new statements:\n%s", got.stdout)
	}
	c.run("status", selection, "--to", reg.prefix()).want(t, 0)
}

package publish

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/sign"
)

// A catalogue changes its key. Releases that the former key signed stay published, and
// status says that they should be signed again. push --resign signs the same digests in all
// registries. Afterwards the former key is not needed.
func TestRotatedKeySignsTheSameDigestsAgain(t *testing.T) {
	t.Parallel()
	for format, kind := range map[sign.Format]string{sign.Bundle: "referrers", sign.Classic: "no referrers"} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			c := shared(t).copy(t)
			reg, mirror := newWatched(t, kind, format), newWatched(t, "no referrers", format)
			c.file(t, "libre.yaml", "sign:\n  format: "+string(format)+"\n  key: cosign.key\n")
			mirror.hasCopiesOf(reg)
			to := []string{"--to", reg.prefix(), "--to", mirror.prefix()}
			c.run(append([]string{"push", two}, to...)...).want(t, 0)

			c.run("keygen", "--output", "next").want(t, 0)
			c.file(t, "libre.yaml", "sign:\n  format: "+string(format)+"\n  key: next.key\n  publicKey:\n  - {file: cosign.pub, until: 2999-12-31}\n  - next.pub\n")
			status := func(flags ...string) string {
				t.Helper()
				return c.run(append([]string{"status", two, "--to", reg.prefix()}, flags...)...).want(t, 0).stdout
			}
			former := filepath.Join(c.dir, "cosign.pub")
			if got := status("--json"); !strings.Contains(got, `"state": "published"`) || !strings.Contains(got, `"oldKey": "`+former+`"`) {
				t.Errorf("status: %s", got)
			}
			if got := status(); !strings.Contains(got, "signed with the former key "+former+": sign it again with: libre push two/*/default --resign") {
				t.Errorf("status: %s", got)
			}
			verified := c.run("verify", two, "--print-cosign", "--to", reg.prefix()).want(t, 0)
			if strings.Count(verified.stderr, "--key "+former+" ") != 3 {
				t.Errorf("cosign's lines name another key:\n%s", verified.stderr)
			}
			unchanged := c.run(append([]string{"push", two}, to...)...).want(t, 0)
			if diff := cmp.Diff(undisturbedTwo(t), printedDigests(unchanged, "unchanged"), butRecords); diff != "" {
				t.Errorf("without --resign: %s", diff)
			}

			dry := c.run(append([]string{"push", two, "--resign", "--dry-run"}, to...)...).want(t, 0)
			if strings.Count(dry.stdout, "\tdry-run\t") < 3 || !strings.Contains(status("--json"), "oldKey") {
				t.Errorf("--dry-run: %s", dry.stdout)
			}
			before := reg.tags(t)
			resigned := c.run(append([]string{"push", two, "--resign"}, to...)...).want(t, 0)
			if diff := cmp.Diff(undisturbedTwo(t), printedDigests(resigned, "signed"), butRecords); diff != "" {
				t.Errorf("--resign: %s", diff)
			}
			if diff := cmp.Diff(before, reg.tags(t)); diff != "" {
				t.Errorf("tags changed: %s", diff)
			}
			if got := status("--json"); strings.Contains(got, "oldKey") {
				t.Errorf("status afterwards: %s", got)
			}
			again := c.run(append([]string{"push", two, "--resign"}, to...)...).want(t, 0)
			if diff := cmp.Diff(undisturbedTwo(t), printedDigests(again, "unchanged"), butRecords); diff != "" {
				t.Errorf("--resign once more: %s", diff)
			}

			// With the new key alone, everything verifies in both registries. With the old one, too.
			c.file(t, "libre.yaml", "sign:\n  format: "+string(format)+"\n  publicKey: next.pub\n")
			next, err := sign.Config{Format: format, PublicKeys: []sign.PublicKey{{File: filepath.Join(c.dir, "next.pub")}}}.Policy(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, where := range []*watched{reg, mirror} {
				where.expect(next)
				verified := c.run("verify", two, "--print-cosign", "--to", where.prefix(), "--copy-of", reg.prefix()).want(t, 0)
				if strings.Count(verified.stderr, "--key "+filepath.Join(c.dir, "next.pub")+" ") != 3 {
					t.Errorf("cosign's lines name another key:\n%s", verified.stderr)
				}
				c.run("verify", two, "--to", where.prefix(), "--copy-of", reg.prefix(), "--key", "cosign.pub").want(t, 0)
			}
			c.file(t, "libre.yaml", "sign:\n  format: "+string(format)+"\n  publicKey: [next.pub, {file: cosign.pub, until: 2020-01-01}]\n")
			c.run("verify", two, "--to", reg.prefix()).want(t, 0)
		})
	}
}

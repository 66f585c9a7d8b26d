package publish

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/sign"
)

// Something that is signed as another app, component, variant, version or kind counts as
// not signed where this catalogue expects its own. This holds for every command that reads
// it, in the first registry and in a copy.
func TestSignatureForAnotherReleaseCountsAsNone(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	text, err := os.ReadFile(filepath.Join(c.dir, "apps/two/default.nix"))
	if err != nil {
		t.Fatal(err)
	}
	c.file(t, "apps/other/default.nix", strings.NewReplacer(`"two"`, `"other"`, `version = "2"`, `version = "9"`).Replace(string(text)))
	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 2")
	reg, mirror := newWatched(t, "referrers", sign.Bundle), newWatched(t, "referrers", sign.Bundle)
	reg.lenient, mirror.lenient = true, true
	first, both := []string{"--to", reg.prefix()}, []string{"--to", reg.prefix(), "--to", mirror.prefix()}
	c.run(append([]string{"push", "two/*/default"}, first...)...).want(t, 0) // an older one
	c.edit(t, "apps/two/default.nix", "packageVersion = 2", "packageVersion = 3")
	c.run(append([]string{"push", "two/*/*", "other/*/*"}, both...)...).want(t, 0)

	for name, attack := range map[string]struct{ from, to, tag string }{
		"another app's record":      {"other-default:9-3", "two-default", "2-3"},
		"another variant's record":  {"two-debug:2-3", "two-default", "2-3"},
		"an older record":           {"two-default:2-2", "two-default", "2-3"},
		"an image, for a record":    {"two-web-default:2-3", "two-default", "2-3"},
		"another app's image":       {"other-web-default:9-3", "two-web-default", "2-3"},
		"another component's image": {"two-job-default:2-3", "two-web-default", "2-3"},
		"another variant's image":   {"two-web-debug:2-3", "two-web-default", "2-3"},
		"an older image":            {"two-web-default:2-2", "two-web-default", "2-3"},
		"a record, for an image":    {"two-default:2-3", "two-web-default", "2-3"},
	} {
		t.Run(name, func(t *testing.T) {
			from, fromTag, _ := strings.Cut(attack.from, ":")
			genuine := reg.tags(t)
			place := func(in *watched) {
				t.Helper()
				bringAs(t, reg.backend+"/"+namespace+"/"+from, fromTag, in.backend+"/"+namespace+"/"+attack.to, attack.tag)
			}
			place(reg)
			reference := reg.prefix() + "/" + attack.to + ":" + attack.tag
			byDigest := reg.prefix() + "/" + attack.to + "@" + reg.tags(t)[attack.to+":"+attack.tag]
			for _, reader := range []struct {
				args   []string
				denies string // a pattern that stdout must not match
			}{
				{append([]string{"status", two}, first...), "\tpublished\t"},
				{append([]string{"status", two, "--deep"}, first...), "\tpublished\t"},
				{append([]string{"plan", two}, first...), "\tnothing\t"},
				{append([]string{"check", two}, first...), "unknown"},
				{append([]string{"push", two, "--dry-run"}, first...), "\tunchanged\t"},
				{append([]string{"push", two}, first...), "\t(unchanged|published)\t"},
				{append([]string{"push", two, "--deep"}, first...), "\t(unchanged|attached)\t"},
				{append([]string{"push", two, "--resign"}, first...), "\tsigned\t"},
				{append([]string{"verify", two}, first...), regexp.QuoteMeta(attack.to+":"+attack.tag) + "@\\S+\tverified\t"},
				{append([]string{"verify", two, "--rebuild"}, first...), "\tverified\trebuilt"},
				{[]string{"verify", reference}, regexp.QuoteMeta(attack.to+":"+attack.tag) + "@\\S+\tverified\t"},
				{[]string{"show", reference}, "."},
				{[]string{"list", reg.prefix() + "/" + attack.to}, "(?m)^" + attack.tag + "\t.*\tyes\t"},
			} {
				got := c.run(reader.args...)
				if got.code == 0 || regexp.MustCompile(reader.denies).MatchString(got.stdout) {
					t.Errorf("libre %s: exit code %d\n%s%s", strings.Join(reader.args, " "), got.code, got.stdout, got.stderr)
				}
			}
			// With its digest it verifies as what it is, unless it is from another repository.
			code := 1
			if from == attack.to {
				code = 0
			}
			c.run("verify", byDigest).want(t, code)
			c.run(append([]string{"push", two, "--force"}, first...)...).want(t, 0)
			if got := reg.tags(t)[attack.to+":"+attack.tag]; got != genuine[attack.to+":"+attack.tag] {
				t.Errorf("put back is %s", got)
			}

			place(mirror)
			for _, command := range []string{"status", "plan", "push"} {
				got := c.run(append([]string{command, two}, both...)...)
				if got.code == 0 || !strings.Contains(got.stdout+got.stderr, mirror.prefix()+"/"+attack.to+":"+attack.tag+" was moved") {
					t.Errorf("%s, of the copy: %d\n%s%s", command, got.code, got.stdout, got.stderr)
				}
			}
			c.run("verify", mirror.prefix()+"/"+attack.to+":"+attack.tag, "--copy-of", reg.prefix()).want(t, 1)
			c.run(append([]string{"push", two, "--force"}, both...)...).want(t, 0)
			c.run(append([]string{"status", two}, both...)...).want(t, 0)
		})
	}
}

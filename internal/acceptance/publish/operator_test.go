package publish

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/sign"
)

// An operator has a reference and a key, but no catalogue.
func TestOperatorVerifiesWithoutACatalogue(t *testing.T) {
	t.Parallel()
	c := shared(t)
	reg := newWatched(t, "referrers", sign.Bundle)
	c.run("push", two, "--to", reg.prefix()).want(t, 0)
	older := c.copy(t)
	older.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 12")
	older.run("push", two, "--to", reg.prefix()).want(t, 0)
	tags := reg.tags(t)
	record, image := reg.prefix()+"/two-default:2-3", reg.prefix()+"/two-web-default:2-3"
	repository := reg.prefix() + "/two-default"

	operator := catalogue{dir: t.TempDir()}
	key, err := os.ReadFile(filepath.Join(c.dir, "cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(operator.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("op.pub", string(key))
	check := func(t *testing.T, flags ...string) {
		t.Helper()
		run := func(args ...string) outcome { t.Helper(); return operator.run(append(args, flags...)...).want(t, 0) }
		if got := run("verify", record); strings.Count(got.stdout, "\tverified\t") != 3 {
			t.Errorf("the record:\n%s", got.stdout)
		}
		if got := run("verify", repository+"@"+tags["two-default:2-3"]); strings.Count(got.stdout, "\tverified\t") != 3 {
			t.Errorf("the record by its digest:\n%s", got.stdout)
		}
		for _, reference := range []string{image, reg.prefix() + "/two-web-default@" + tags["two-web-default:2-3"]} {
			if got := run("verify", reference); strings.Count(got.stdout, "\tverified\t") != 1 {
				t.Errorf("%s:\n%s", reference, got.stdout)
			}
		}
		if got := run("show", record); !strings.Contains(got.stdout, `"two-job-default:2-3"`) {
			t.Errorf("show:\n%s", got.stdout)
		}
		document := run("show", record, "-o", "yaml")
		for _, want := range []string{"apiVersion: libre.sh/v1alpha1\nkind: Application\n", "\n  registry: " + reg.prefix() + "\n", "digest: " + tags["two-web-default:2-3"] + "\n"} {
			if !strings.Contains(document.stdout, want) {
				t.Errorf("show -o yaml has no %q:\n%s", want, document.stdout)
			}
		}
		want := "2-12\trelease\t" + tags["two-default:2-12"] + "\tyes\t\t\n2-3\trelease\t" + tags["two-default:2-3"] + "\tyes\t\t\n"
		if got := run("list", repository); got.stdout != want {
			t.Errorf("list:\n%swant\n%s", got.stdout, want)
		}
	}
	write("op.pem", string(key))
	t.Run("with a key that is called otherwise", func(t *testing.T) { check(t, "--key", "op.pem") })
	write("op.txt", "nothing")
	for _, args := range []string{"verify " + record, "list " + repository, "show " + record} {
		if got := operator.run(append(strings.Fields(args), "--key", "op.txt")...).want(t, 1); !strings.Contains(got.stderr, "read the public key op.txt: expected -----BEGIN PUBLIC KEY-----") {
			t.Errorf("%s with no key:\n%s", args, got.stderr)
		}
	}
	t.Run("with a key", func(t *testing.T) { check(t, "--key", "op.pub") })
	for args, want := range map[string]string{
		"verify " + record:                                                                  "give --key, or --identity",
		"show " + record:                                                                    "give --key, or --identity",
		"verify " + repository + " --key op.pub":                                            "add a tag",
		"show " + repository + " --key op.pub":                                              "add a tag",
		"verify " + record + " --identity me@example.org":                                   "give --issuer or --issuer-regexp too",
		"verify " + record + " --issuer https://issuer.example":                             "give --identity or --identity-regexp too",
		"verify " + record + " --identity-regexp [ --issuer https://i.example":              "expected a regular expression",
		"verify " + record + " --identity me --issuer https://i.example --key op.pub":       "--identity and --key: give one of them, not both",
		"verify " + repository + "@sha256:00 --key op.pub":                                  "two-default@sha256:00 is not a reference: invalid checksum digest length: sha256:00; give REGISTRY",
		"show " + reg.prefix() + "/Two:1 --key op.pub":                                      "/Two:1 is not a reference: ",
		"verify " + record + " " + record + "+ --key op.pub":                                "2-3+ is not a reference: tag can only contain",
		"verify two@sha256:1 --key op.pub":                                                  "two@sha256:1 has no registry: give REGISTRY",
		"show @sha256:1 --key op.pub":                                                       "has no registry",
		"verify /x:1 --key op.pub":                                                          "/x:1 has no registry",
		"verify " + record + " --identity a --identity-regexp a --issuer https://i.example": "--identity and --identity-regexp: give one of them, not both",
		"list a.example/":                                                                   "a.example has no registry",
		"list " + repository + " two":                                                       "list it alone",
	} {
		if got := operator.run(strings.Fields(args)...).want(t, 2); !strings.Contains(got.stderr, want) {
			t.Errorf("%s:\n%s", args, got.stderr)
		}
	}
	if got := operator.run("verify", repository+":9-9", "--key", "op.pub").want(t, 1); !strings.HasPrefix(got.stderr, "error: "+repository+":9-9 is not in the registry; give one of: 2-12, 2-3\n") {
		t.Errorf("a reference is said twice:\n%s", got.stderr)
	}
	listed := operator.run("list", repository, "--json").want(t, 0)
	var all []struct{ Tag, Kind, Digest, Signed string }
	if err := json.Unmarshal([]byte(listed.stdout), &all); err != nil || len(all) != 2 || all[0].Tag != "2-12" || all[0].Signed != "not asked" {
		t.Errorf("list --json: %v\n%s", err, listed.stdout)
	}
	if !strings.Contains(listed.stderr, "no signer is known") || !strings.Contains(listed.stderr, "give --key, or --identity and --issuer") {
		t.Errorf("what is not known is not said:\n%s", listed.stderr)
	}
	reg.retag(t, "two-default", "2-3", "2-12")
	if got := operator.run("list", repository).want(t, 1); !strings.Contains(got.stdout, "\tnot asked\t\tit claims to be two-default:2-3: its tag may have been moved\n") {
		t.Errorf("a moved tag, without a key:\n%s", got.stdout)
	}
	if got := operator.run("list", repository, "--key", "op.pub").want(t, 1); !strings.Contains(got.stdout, "\tmoved\t\t"+repository+":2-12 was moved") {
		t.Errorf("a moved tag:\n%s", got.stdout)
	}
	reg.lenient = true
	older.run("push", two, "--to", reg.prefix(), "--force").want(t, 0)
	if got := operator.run("list", reg.prefix()+"/three-default", "--key", "op.pub").want(t, 1); !strings.Contains(got.stderr, "has no release;") {
		t.Errorf("nothing there:\n%s", got.stderr)
	}
	c.run("keygen", "--output", filepath.Join(operator.dir, "other")).want(t, 0)
	if got := operator.run("list", repository, "--key", "other.pub").want(t, 1); strings.Count(got.stdout, "\tno\t") != 2 {
		t.Errorf("signed with another key:\n%s", got.stdout)
	}
	write("libre.yaml", "sign:\n  publicKey: op.pub\n")
	t.Run("with libre.yaml alone", func(t *testing.T) { check(t) })
	reg.setMeddle(func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	for _, args := range []string{"verify " + record, "show " + record, "list " + repository} {
		operator.run(strings.Fields(args)...).want(t, 4)
	}
	if got := operator.run("verify", record, "--json").want(t, 4); !strings.Contains(got.stdout, `"checks": []`) {
		t.Errorf("verify --json:\n%s", got.stdout)
	}
}

//go:build interop

package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/sign/signtest"
)

// With a private Sigstore instance in libre.yaml, images are signed keyless, verified by
// libre and cosign, and refused if another identity is expected.
func TestInteropKeylessSignaturesVerifyWithCosign(t *testing.T) {
	t.Parallel()
	stack := signtest.StartStack(t)
	for format, kind := range map[sign.Format]string{sign.Bundle: "referrers", sign.Classic: "docker-registry"} {
		t.Run(string(format), func(t *testing.T) { testKeyless(t, stack, format, kind) })
	}
}

func testKeyless(t *testing.T, stack *signtest.Stack, format sign.Format, kind string) {
	c := shared(t).copy(t)
	config := keyless(t, c, stack, format)
	c.sign(t, config, `ci@example\.org`)
	token := stack.Issuer.Token(t, time.Hour)
	if err := os.WriteFile(filepath.Join(c.dir, "token"), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found := searchForToken(t, token)
	run := func(args ...string) outcome {
		t.Helper()
		got := c.run(args...)
		found.search("what libre "+args[0]+" prints", []byte(got.stdout+got.stderr))
		return got
	}

	reg := newWatched(t, kind, "")
	accepted, err := config.Policy(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	reg.expect(accepted)
	reg.setMeddle(func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		found.search("what is sent to "+r.URL.Path, body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		return false
	})
	to := []string{"--to", reg.prefix()}
	if printed := printedDigests(run(append([]string{"push", two}, to...)...).want(t, 0), "published"); len(printed) != 3 {
		t.Errorf("published %v", printed)
	}
	reg.audit(t)
	if again := printedDigests(run(append([]string{"push", two}, to...)...).want(t, 0), "unchanged"); len(again) != 3 {
		t.Errorf("published again, and unchanged is %v", again)
	}
	record := reg.prefix() + "/two-default:2-3"
	if shown := run("show", record).want(t, 0); !strings.Contains(shown.stdout, `"two-job-default:2-3"`) {
		t.Errorf("libre show:\n%s", shown.stdout)
	}
	verified := run(append([]string{"verify", two, "--print-cosign"}, to...)...).want(t, 0)
	if strings.Count(verified.stdout, "\tverified\t") != 3 {
		t.Errorf("libre verify:\n%s", verified.stdout)
	}
	cosignAccepts(t, c, cosignLines(verified), true)
	t.Run("files beside libre.yaml", func(t *testing.T) {
		elsewhere := c
		elsewhere.dir = filepath.Join(c.dir, "apps")
		elsewhere.run(append([]string{"verify", two}, to...)...).want(t, 0)
		elsewhere.run(append([]string{"push", "one/*/default"}, to...)...).want(t, 0)
	})

	t.Run("an operator with an identity and no catalogue", func(t *testing.T) {
		operator := c
		operator.dir = t.TempDir()
		root := filepath.Join(c.dir, config.Keyless.TrustedRoot)
		if filepath.IsAbs(config.Keyless.TrustedRoot) {
			root = config.Keyless.TrustedRoot
		}
		issuer := config.Keyless.Identity.Issuer
		for code, flags := range map[string][]string{
			"0 exact":            {"--identity", "ci@example.org", "--issuer", issuer},
			"0 patterns":         {"--identity-regexp", `ci@example\..*`, "--issuer-regexp", "http.*"},
			"1 another":          {"--identity", "ci@example.or", "--issuer", issuer},
			"1 no pattern":       {"--identity", "ci@example..rg", "--issuer", issuer},
			"1 a part":           {"--identity-regexp", "ci@example", "--issuer-regexp", "http.*"},
			"1 a part of issuer": {"--identity", "ci@example.org", "--issuer-regexp", "http"},
		} {
			flags = append(flags, "--trusted-root", root)
			want := int(code[0] - '0')
			operator.run(append([]string{"verify", record}, flags...)...).want(t, want)
			operator.run(append([]string{"show", record}, flags...)...).want(t, want)
			listed := operator.run(append([]string{"list", reg.prefix() + "/two-default"}, flags...)...).want(t, want)
			if strings.Contains(listed.stdout, "\tyes\t20") != (want == 0) {
				t.Errorf("%s: list:\n%s", code, listed.stdout)
			}
		}
	})

	// Another identity's signature is not accepted, and none is made for one.
	c.sign(t, config, `release@example\.org`)
	for _, args := range [][]string{append([]string{"verify", two}, to...), {"verify", record}, {"show", record}} {
		refused := run(args...).want(t, 1)
		lines := slices.DeleteFunc(errorLine.FindAllString(refused.stderr, -1), func(line string) bool { return line == "error: 1 of 1 could not be verified" })
		if len(lines) != 1 || !strings.Contains(lines[0], "two-default") || !strings.Contains(lines[0], signtest.Subject) || strings.Contains(refused.stdout, "\tverified\t") {
			t.Errorf("libre %s:\n%s%s", strings.Join(args, " "), refused.stdout, refused.stderr)
		}
	}
	verified.stderr = strings.ReplaceAll(verified.stderr, "ci@example", "release@example")
	cosignAccepts(t, c, cosignLines(verified), false)
	before := len(reg.tags(t))
	c.edit(t, "apps/two/default.nix", "packageVersion = 3", "packageVersion = 4")
	refused := run(append([]string{"push", two}, to...)...).want(t, 3)
	checkLines(t, refused)
	if !strings.Contains(refused.stderr, signtest.Subject) || len(reg.tags(t)) != before {
		t.Errorf("pushed as somebody else: tags %v\n%s", reg.tags(t), refused.stderr)
	}
}

// keyless writes the files of an instance into the catalogue's folder, and returns the
// configuration that reads them.
func keyless(t *testing.T, c catalogue, stack *signtest.Stack, format sign.Format) sign.Config {
	t.Helper()
	k := &sign.Keyless{
		Fulcio: stack.Fulcio, Rekor: stack.Rekor, Timestamp: stack.Timestamp, TrustedRoot: stack.Root,
		Identity: sign.Identity{Issuer: stack.Issuer.URL, Subject: `ci@example\.org`},
	}
	if format == sign.Classic {
		k.Rekor, k.TrustedRoot = "", stack.RootWithoutLog
	}
	root, err := os.ReadFile(k.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	c.file(t, "trusted_root.json", string(root))
	return sign.Config{Format: format, Keyless: k}
}

// sign writes libre.yaml for an identity.
func (c catalogue) sign(t *testing.T, config sign.Config, subject string) {
	t.Helper()
	k := config.Keyless
	text := fmt.Sprintf(`sign:
  format: %s
  keyless:
    fulcio: %s
    timestamp: %s
    trustedRoot: trusted_root.json
    tokenFile: token
    identity: { issuer: %q, subject: '%s' }
`, config.Format, k.Fulcio, k.Timestamp, k.Identity.Issuer, subject)
	if k.Rekor != "" {
		text += "    rekor: " + k.Rekor + "\n"
	}
	c.file(t, "libre.yaml", text)
}

// searchForToken searches for a token and for its secret parts.
func searchForToken(t *testing.T, token string) *searched {
	parts := strings.Split(token, ".")
	return &searched{t: t, secrets: map[string]string{"the identity token": token, "the token's claims": parts[1], "the token's signature": parts[2]}}
}

// cosignAccepts runs the command lines that libre verify printed.
func cosignAccepts(t *testing.T, c catalogue, lines []string, want bool) {
	t.Helper()
	if len(lines) != 3 {
		t.Errorf("lines for cosign: %q, want 3", lines)
	}
	for _, version := range signtest.CosignVersions {
		shell := signtest.NewShell(t, version)
		for _, line := range lines {
			if output, err := shell.Run(c.dir, line); (err == nil) != want {
				t.Errorf("%s: %s: %v, want success %v\n%s", version, line, err, want, output)
			}
		}
	}
}

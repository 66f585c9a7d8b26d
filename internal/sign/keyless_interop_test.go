//go:build interop

package sign

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/sign/signtest"
	"github.com/libresh/libre/internal/testkit"
)

// tokenLife is longer than any test.
const tokenLife = 10 * time.Minute

// stackConfig returns the configuration of a catalogue that uses the stack in one format.
func stackConfig(s *signtest.Stack, format Format) Config {
	keyless := &Keyless{
		Fulcio: s.Fulcio, Rekor: s.Rekor, Timestamp: s.Timestamp, TrustedRoot: s.Root, Issuer: s.Issuer.URL,
		Identity: Identity{Issuer: s.Issuer.URL, Subject: `ci@example\.org`},
	}
	if format == Classic {
		keyless.Rekor, keyless.TrustedRoot = "", s.RootWithoutLog
	}
	return Config{Format: format, Keyless: keyless}
}

func TestInteropKeyless(t *testing.T) {
	s := signtest.StartStack(t)
	ctx := context.Background()
	for _, format := range formats {
		t.Run(string(format), func(t *testing.T) {
			tokenFile := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(tokenFile, []byte(s.Issuer.Token(t, tokenLife)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			config := stackConfig(s, format)
			config.Keyless.TokenFile = tokenFile
			for kind, host := range map[string]string{"memory": memoryRegistry(t, true).host, "docker-registry": testkit.DockerRegistry(t, t.TempDir())} {
				client, signer, subjects := newClient(t), newSigner(t, config), pushIndex(t, host)
				began := time.Now().Truncate(time.Second)
				if got := must[int](t)(client.Sign(ctx, signer, subjects...)); got != 3 {
					t.Errorf("%s: signed %d, want 3", kind, got)
				}
				must[int](t)(client.Attest(ctx, signer, cycloneDX, bom, subjects...))
				must[int](t)(client.Attest(ctx, signer, slsa, json.RawMessage(`{"large":"`+strings.Repeat("x", 3*smallBlob)+`"}`), subjects...))
				if got := must[int](t)(client.Sign(ctx, newSigner(t, config), subjects...)); got != 0 {
					t.Errorf("%s: signed %d again", kind, got)
				}
				policy := must[*Policy](t)(config.Policy(ctx))
				for _, subject := range subjects {
					got := must[*Signature](t)(client.Verify(ctx, subject, policy))
					if got.Format != format || got.Issuer != s.Issuer.URL || got.Subject != signtest.Subject || got.Time.Before(began) || got.Time.After(time.Now()) {
						t.Errorf("%s: signature %+v", kind, got)
					}
					statements := must[[]Statement](t)(client.VerifyAttestations(ctx, subject, cycloneDX, policy))
					if len(statements) != 1 || string(statements[0].Predicate) != string(bom) || statements[0].Signature.Subject != signtest.Subject {
						t.Errorf("%s: statements %+v", kind, statements)
					}
				}
				refusesOthers(t, s, client, config, subjects[0])
				for _, version := range signtest.CosignVersions {
					adapt := func(kind, line string) string {
						if version == "v2.6.5" && format == Classic && kind != SignatureType {
							line = strings.Replace(line, "--trusted-root "+s.RootWithoutLog, s.Cosign2Flags, 1)
						}
						return line
					}
					shell := signtest.NewShell(t, version)
					accepts(t, shell, policy, subjects[0], "", adapt, true)
					accepts(t, shell, policy, subjects[2], "", adapt, true)
					other := *config.Keyless
					other.Identity.Subject = "somebody@example.org"
					accepts(t, shell, must[*Policy](t)(Config{Format: format, Keyless: &other}.Policy(ctx)), subjects[0], "", adapt, false)
				}
			}
		})
	}
}

// refusesOthers verifies a signature with policies that must refuse it.
func refusesOthers(t *testing.T, s *signtest.Stack, client *Client, config Config, subject name.Digest) {
	t.Helper()
	ctx := context.Background()
	key := newKey(t, config.Format)
	stranger := *config.Keyless
	stranger.TrustedRoot = s.Strangers
	logged := *config.Keyless
	logged.TrustedRoot = s.Root
	someone := *config.Keyless
	someone.Identity.Subject = "example" // matches a part of the subject only
	elsewhere := *config.Keyless
	elsewhere.Identity.Issuer = s.Issuer.URL + "/other"
	wrong := map[string]Config{
		"a key":           key,
		"another root":    {Format: config.Format, Keyless: &stranger},
		"another subject": {Format: config.Format, Keyless: &someone},
		"another issuer":  {Format: config.Format, Keyless: &elsewhere},
	}
	if config.Format == Classic {
		wrong["no log entry"] = Config{Format: Classic, Keyless: &logged}
	}
	for why, c := range wrong {
		var invalid *InvalidError
		_, err := client.Verify(ctx, subject, must[*Policy](t)(c.Policy(ctx)))
		if !errors.As(err, &invalid) {
			t.Errorf("%s: %v", why, err)
		}
		if _, err := client.VerifyAttestations(ctx, subject, cycloneDX, must[*Policy](t)(c.Policy(ctx))); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

// A signer with an identity that the policy does not accept writes nothing.
func TestInteropKeylessAsSomebodyElse(t *testing.T) {
	s := signtest.StartStack(t)
	ctx := context.Background()
	for _, format := range formats {
		config := stackConfig(s, format)
		config.Keyless.Identity.Subject = "release@example.org"
		setenv(t, tokenVariable, s.Issuer.Token(t, tokenLife))
		registry := memoryRegistry(t, true)
		client, signer, subject := newClient(t), newSigner(t, config), pushIndex(t, registry.host)[0]
		var invalid *InvalidError
		if _, err := client.Sign(ctx, signer, subject); !errors.As(err, &invalid) || !strings.Contains(err.Error(), signtest.Subject) {
			t.Errorf("signed as somebody else: %v", err)
		}
		if got := must[attachedTypes](t)(client.Attached(ctx, subject, format)); got.Signature {
			t.Error("written all the same")
		}
	}
}

func TestInteropTokenSources(t *testing.T) {
	s := signtest.StartStack(t)
	ctx := context.Background()
	for name, test := range map[string]struct {
		set     func(c *Keyless)
		prompts Prompts
		want    string // in the error; "" is success
	}{
		"variable": {set: func(*Keyless) { setenv(t, tokenVariable, s.Issuer.Token(t, tokenLife)) }},
		"Actions, failing at first": {set: func(*Keyless) {
			setenv(t, requestURLVariable, s.Issuer.URL+"/actions?version=2")
			setenv(t, requestTokenVariable, signtest.ActionsSecret)
			s.Issuer.Fails.Store(1)
		}},
		"Actions, no permission": {set: func(*Keyless) {
			setenv(t, requestURLVariable, s.Issuer.URL+"/actions?version=2")
			setenv(t, requestTokenVariable, "secret-of-another-job")
		}, want: "ask Actions for an identity token: " + strings.TrimPrefix(s.Issuer.URL, "http://") + " answers 403 Forbidden"},
		"browser":  {set: func(*Keyless) { fakeBrowser(t) }, prompts: Prompts{Browser: io.Discard}},
		"nothing":  {set: func(*Keyless) {}, want: "no identity token: set tokenFile or $SIGSTORE_ID_TOKEN, or in Actions the permission id-token: write, which sets $ACTIONS_ID_TOKEN_REQUEST_URL; there is no terminal for a login in the browser"},
		"no file":  {set: func(k *Keyless) { k.TokenFile = "/nonexistent/token" }, want: "read an identity token: open /nonexistent/token: no such file or directory"},
		"no token": {set: func(*Keyless) { setenv(t, tokenVariable, "s3cret") }, want: "the identity token is not a JSON web token"},
		"expired": {set: func(*Keyless) {
			setenv(t, tokenVariable, s.Issuer.Token(t, -time.Minute))
		}, want: "the identity token expired at "},
		"forged": {set: func(*Keyless) {
			token := strings.Split(s.Issuer.Token(t, tokenLife), ".")
			setenv(t, tokenVariable, token[0]+"."+token[1]+"."+strings.Repeat("A", len(token[2])))
		}, want: "get a certificate from " + s.Fulcio + ": Fulcio returned 400"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{tokenVariable, requestURLVariable, requestTokenVariable} {
				setenv(t, variable, "")
			}
			config := stackConfig(s, Bundle)
			test.set(config.Keyless)
			signer, err := config.Signer(ctx, test.prompts)
			if err != nil {
				t.Fatal(err)
			}
			asked := s.Issuer.Asked.Load()
			subject := pushIndex(t, memoryRegistry(t, true).host)[0]
			client := newClient(t)
			_, err = client.Sign(ctx, signer, subject)
			if err == nil {
				_, err = client.Attest(ctx, signer, cycloneDX, bom, subject)
			}
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if got := s.Issuer.Asked.Load() - asked; got > 1 {
					t.Errorf("asked for %d tokens for two signatures", got)
				}
				return
			}
			if !fault.Is(err, fault.Credentials) || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got  %v (%T)\nwant %s", err, err, test.want)
			}
			noSecret(t, err)
		})
	}
}

// noSecret checks that an error contains neither a token from the environment nor a part of
// one.
func noSecret(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{os.Getenv(tokenVariable), os.Getenv(requestTokenVariable)} {
		for _, part := range strings.Split(secret, ".") {
			if part != "" && strings.Contains(err.Error(), part[:min(20, len(part))]) {
				t.Errorf("a secret in %v", err)
			}
		}
	}
}

// fakeBrowser logs in without a person.
func fakeBrowser(t testing.TB) {
	dir := t.TempDir()
	script := "#!/bin/sh\nwget -q -O /dev/null \"$1\" >/dev/null 2>&1 &\n"
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	setenv(t, "PATH", dir+":"+os.Getenv("PATH"))
}

// Requests to broken services are retried, and the error names the service.
func TestInteropServicesOutOfOrder(t *testing.T) {
	s := signtest.StartStack(t)
	setenv(t, tokenVariable, s.Issuer.Token(t, tokenLife))
	subject := pushIndex(t, memoryRegistry(t, true).host)[0]
	for service, set := range map[string]func(*Keyless, string){
		"fulcio":    func(k *Keyless, url string) { k.Fulcio = url },
		"timestamp": func(k *Keyless, url string) { k.Timestamp = url },
		"rekor":     func(k *Keyless, url string) { k.Rekor = url },
	} {
		t.Run(service, func(t *testing.T) {
			broken := newRegistry(t, nil)
			broken.answer = brokenAnswer
			config := stackConfig(s, Bundle)
			set(config.Keyless, "http://"+broken.host)
			_, err := newClient(t).Sign(context.Background(), newSigner(t, config), subject)
			if err == nil || fault.Is(err, fault.Credentials) || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "on holiday") {
				t.Errorf("%v", err)
			}
			noSecret(t, err)
			if got := broken.requests.Load(); got != signAttempts {
				t.Errorf("%d requests, want %d", got, signAttempts)
			}
		})
	}
}

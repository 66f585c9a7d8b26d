//go:build interop

package sign

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/sign/signtest"
	"github.com/libresh/libre/internal/testkit"
)

// accepts runs the command line of CosignCommand for the signature and for an attestation,
// adapted to the version of cosign.
func accepts(t *testing.T, s *signtest.Shell, p *Policy, subject name.Digest, keyFile string, adapt func(kind, line string) string, want bool) {
	t.Helper()
	for _, kind := range []string{SignatureType, cycloneDX} {
		line := adapt(kind, p.CosignCommand(subject, kind, keyFile))
		output, err := s.Run("", line)
		if (err == nil) != want {
			t.Errorf("%s: %v, want success %v\n%s", line, err, want, output)
		}
	}
}

func TestInteropCosignVerifiesLibre(t *testing.T) {
	for _, version := range signtest.CosignVersions {
		for _, format := range formats {
			t.Run(fmt.Sprint(version, format), func(t *testing.T) {
				shell := signtest.NewShell(t, version)
				adapt := func(_, line string) string { return shell.WithKey(t, line) }
				for _, host := range []string{memoryRegistry(t, true).host, testkit.DockerRegistry(t, t.TempDir())} {
					config := newKey(t, format)
					client, signer, subjects := newClient(t), newSigner(t, config), pushIndex(t, host)
					accepts(t, shell, signer.Policy(), subjects[0], publicKeyName(config.Key), adapt, false)
					must[int](t)(client.Sign(context.Background(), signer, subjects...))
					must[int](t)(client.Attest(context.Background(), signer, cycloneDX, bom, subjects...))
					must[int](t)(client.Attest(context.Background(), signer, slsa, json.RawMessage("{}"), subjects...))
					for _, subject := range subjects {
						accepts(t, shell, signer.Policy(), subject, publicKeyName(config.Key), adapt, true)
					}
					accepts(t, shell, signer.Policy(), subjects[0], publicKeyName(newKey(t, format).Key), adapt, false)
				}
			})
		}
	}
}

// Libre verifies what cosign signs with the same keys, and cosign signs with libre's keys.
func TestInteropLibreVerifiesCosign(t *testing.T) {
	ctx := context.Background()
	predicate := filepath.Join(t.TempDir(), "bom.json")
	if err := os.WriteFile(predicate, bom, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		version, flags string
		format         Format
	}{
		{"v2.6.5", "--tlog-upload=false", Classic},
		{"v2.6.5", "--tlog-upload=false --new-bundle-format=true", Bundle},
		{"v3.1.3", "--use-signing-config=false --tlog-upload=false", Bundle},
		{"v3.1.3", "--use-signing-config=false --tlog-upload=false --new-bundle-format=false", Classic},
	} {
		t.Run(fmt.Sprint(test.version, test.format), func(t *testing.T) {
			shell := signtest.NewShell(t, test.version)
			config := newKey(t, test.format)
			policy := must[*Policy](t)(config.Policy(ctx))
			for _, referrers := range []bool{true, false} {
				subject := pushIndex(t, memoryRegistry(t, referrers).host)[0]
				for _, line := range []string{
					fmt.Sprintf("cosign sign --yes %s --key %s %s", test.flags, config.Key, subject),
					fmt.Sprintf("cosign attest --yes %s --key %s --type %s --predicate %s %s", test.flags, config.Key, cycloneDX, predicate, subject),
				} {
					if output, err := shell.Run("", line); err != nil {
						t.Fatalf("%s: %v\n%s", line, err, output)
					}
				}
				client := newClient(t)
				must[*Signature](t)(client.Verify(ctx, subject, policy))
				must[[]Statement](t)(client.VerifyAttestations(ctx, subject, cycloneDX, policy))
				if written := must[int](t)(client.Sign(ctx, newSigner(t, config), subject)); written != 0 {
					t.Error("signed again what cosign had signed with the same key")
				}
			}
		})
	}
}

// Libre reads keys that cosign writes.
func TestInteropCosignsKey(t *testing.T) {
	setenv(t, PasswordVariable, testPassword)
	for _, version := range signtest.CosignVersions {
		shell := signtest.NewShell(t, version)
		base := filepath.Join(t.TempDir(), "k")
		if output, err := shell.Run("", "cosign generate-key-pair --output-key-prefix "+base); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		newSigner(t, Config{Key: base + ".key"})
	}
}

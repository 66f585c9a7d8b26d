package sign

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

// cosignVersions are what other people verify with.
var cosignVersions = []string{"v2.6.5", "v3.1.3"}

// program is a Go program in a version of its own, which is built once and kept
// in the user's cache, as that takes minutes: if all tests are asked for.
func program(t testing.TB, pkg, version string) string {
	t.Helper()
	cache := must[string](t)(os.UserCacheDir())
	base := strings.TrimSuffix(pkg, "/posix")
	base = base[strings.LastIndex(base, "/")+1:]
	path := filepath.Join(cache, "libre-test", "bin", base+"-"+version)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("LIBRE_TEST_ALL") != "1" {
		t.Skipf("%s %s was not built (LIBRE_TEST_ALL=1 builds it)", base, version)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	bin := must[string](t)(os.MkdirTemp(filepath.Dir(path), ".build-"))
	defer os.RemoveAll(bin)
	install := exec.Command("go", "install", "-p", "1", pkg+"@"+version)
	install.Dir = bin // not in this module
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("build %s %s: %v\n%s", pkg, version, err, output)
	}
	built := must[[]string](t)(filepath.Glob(filepath.Join(bin, "*")))
	if err := os.Rename(built[0], path); err != nil {
		t.Fatal(err)
	}
	return path
}

func cosignProgram(t testing.TB, version string) string {
	major, _, _ := strings.Cut(version, ".")
	return program(t, "github.com/sigstore/cosign/"+major+"/cmd/cosign", version)
}

// A shell runs a command line whose word cosign stands for the program.
type shell struct{ dir string }

func newShell(t testing.TB, version string) *shell {
	dir := t.TempDir()
	if err := os.Symlink(cosignProgram(t, version), filepath.Join(dir, "cosign")); err != nil {
		t.Fatal(err)
	}
	return &shell{dir}
}

func (s *shell) run(line string) (string, error) {
	command := exec.Command("sh", "-c", line)
	command.Env = append(os.Environ(), "PATH="+s.dir+":"+os.Getenv("PATH"), "HOME="+s.dir)
	output, err := command.CombinedOutput()
	return string(output), err
}

// accepts runs what CosignCommand says for the signature and an attestation,
// adapted to the version of cosign.
func (s *shell) accepts(t *testing.T, p *Policy, subject name.Digest, keyFile string, adapt func(kind, line string) string, want bool) {
	t.Helper()
	for _, kind := range []string{SignatureType, cycloneDX} {
		line := adapt(kind, p.CosignCommand(subject, kind, keyFile))
		output, err := s.run(line)
		if (err == nil) != want {
			t.Errorf("%s: %v, want success %v\n%s", line, err, want, output)
		}
	}
}

// emptyRoot is a trusted root that trusts nobody. cosign 2.6 asks for one even
// where a key is all that matters.
func emptyRoot(t testing.TB) string {
	file := filepath.Join(t.TempDir(), "trusted_root.json")
	if err := os.WriteFile(file, []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCosignVerifiesOurs(t *testing.T) {
	for _, version := range cosignVersions {
		for _, format := range formats {
			t.Run(fmt.Sprint(version, format), func(t *testing.T) {
				shell := newShell(t, version)
				adapt := func(_, line string) string {
					if version == "v2.6.5" {
						line += " --trusted-root " + emptyRoot(t) // without the internet
					}
					return line
				}
				for _, host := range []string{memoryRegistry(t, true).host, dockerRegistry(t)} {
					config := newKey(t, format)
					client, signer, subjects := newClient(t), newSigner(t, config), pushIndex(t, host)
					shell.accepts(t, signer.Policy(), subjects[0], publicKeyName(config.Key), adapt, false)
					must[int](t)(client.Sign(context.Background(), signer, subjects...))
					must[int](t)(client.Attest(context.Background(), signer, cycloneDX, bom, subjects...))
					must[int](t)(client.Attest(context.Background(), signer, slsa, json.RawMessage("{}"), subjects...))
					for _, subject := range subjects {
						shell.accepts(t, signer.Policy(), subject, publicKeyName(config.Key), adapt, true)
					}
					shell.accepts(t, signer.Policy(), subjects[0], publicKeyName(newKey(t, format).Key), adapt, false)
				}
			})
		}
	}
}

// We verify what cosign makes, and cosign uses our keys.
func TestOursVerifiesCosigns(t *testing.T) {
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
			shell := newShell(t, test.version)
			config := newKey(t, test.format)
			policy := must[*Policy](t)(config.Policy(ctx))
			for _, referrers := range []bool{true, false} {
				subject := pushIndex(t, memoryRegistry(t, referrers).host)[0]
				for _, line := range []string{
					fmt.Sprintf("cosign sign --yes %s --key %s %s", test.flags, config.Key, subject),
					fmt.Sprintf("cosign attest --yes %s --key %s --type %s --predicate %s %s", test.flags, config.Key, cycloneDX, predicate, subject),
				} {
					if output, err := shell.run(line); err != nil {
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

// cosign writes keys that we read.
func TestCosignsKey(t *testing.T) {
	setenv(t, passwordVariable, testPassword)
	for _, version := range cosignVersions {
		shell := newShell(t, version)
		base := filepath.Join(t.TempDir(), "k")
		if output, err := shell.run("cosign generate-key-pair --output-key-prefix " + base); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		newSigner(t, Config{Key: base + ".key"})
	}
}

func TestCosignCommand(t *testing.T) {
	here := must[name.Digest](t)(name.NewDigest("127.0.0.1:5000/docs@sha256:" + strings.Repeat("0", 64)))
	plain := must[name.Digest](t)(name.NewDigest("registry.example/docs@sha256:"+strings.Repeat("0", 64), name.Insecure))
	config := newKey(t, Bundle)
	policy := must[*Policy](t)(config.Policy(context.Background()))
	for _, test := range []struct {
		subject    name.Digest
		kind, want string
	}{
		{here, SignatureType, "cosign verify --key 'it'\\''s.pub' --insecure-ignore-tlog=true "},
		{plain, slsa, "cosign verify-attestation --type https://slsa.dev/provenance/v1 --key 'it'\\''s.pub' --insecure-ignore-tlog=true --allow-http-registry=true "},
	} {
		if got := policy.CosignCommand(test.subject, test.kind, "it's.pub"); got != test.want+test.subject.String() {
			t.Errorf("got  %s\nwant %s", got, test.want+test.subject.String())
		}
	}
}

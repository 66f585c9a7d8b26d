package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/sign/signtest"
)

// without unsets a variable during a test.
func without(t testing.TB, variable string) {
	setenv(t, variable, "") // restored afterwards
	os.Unsetenv(variable)
}

func TestKeygen(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "cosign")
	without(t, PasswordVariable)
	if err := Keygen(base, nil); !fault.Is(err, fault.Credentials) || err.Error() != fmt.Sprintf("password of %s.key: $COSIGN_PASSWORD is not set, and there is no terminal to ask", base) {
		t.Errorf("no password: %v", err)
	}
	if err := Keygen(base, func(confirm bool) ([]byte, error) {
		if !confirm {
			t.Error("a new password was not confirmed")
		}
		return []byte(testPassword), nil
	}); err != nil {
		t.Fatal(err)
	}
	texts := map[string][]byte{}
	for name, mode := range map[string]fs.FileMode{"cosign.key": 0o600, "cosign.pub": 0o644} {
		info := must[fs.FileInfo](t)(os.Stat(filepath.Join(dir, name)))
		if info.Mode() != mode {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), mode)
		}
		texts[name] = must[[]byte](t)(os.ReadFile(filepath.Join(dir, name)))
	}
	signer := must[*Signer](t)(Config{Key: base + ".key"}.Signer(context.Background(), Prompts{Password: func(confirm bool) ([]byte, error) {
		if confirm {
			t.Error("a known password was to be confirmed")
		}
		return []byte(testPassword), nil
	}}))
	must[*Signature](t)(signedWith(t, signer))

	// Keygen overwrites neither file, whichever of them exists.
	setenv(t, PasswordVariable, "other")
	for _, kept := range []string{"cosign.key", "cosign.pub"} {
		for name := range texts {
			os.Remove(filepath.Join(dir, name))
		}
		if err := os.WriteFile(filepath.Join(dir, kept), texts[kept], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Keygen(base, nil); !errors.Is(err, fs.ErrExist) || err.Error() != "write a key pair to "+filepath.Join(dir, kept)+": file already exists; give the pair another name with --output" {
			t.Errorf("%s is there: %v", kept, err)
		}
		if got := must[[]byte](t)(os.ReadFile(filepath.Join(dir, kept))); !bytes.Equal(got, texts[kept]) {
			t.Errorf("%s was overwritten", kept)
		}
	}
	if entries := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// If several calls run at once, one succeeds, and its two files belong together.
func TestKeygenRace(t *testing.T) {
	setenv(t, PasswordVariable, testPassword)
	dir := t.TempDir()
	base := filepath.Join(dir, "cosign")
	var group sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		group.Go(func() { errs[i] = Keygen(base, nil) })
	}
	group.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
	newSigner(t, Config{Key: base + ".key"})
	if entries := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestKeygenUnwritable(t *testing.T) {
	setenv(t, PasswordVariable, testPassword)
	if err := Keygen(filepath.Join(t.TempDir(), "missing", "cosign"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// signedWith signs something and verifies it with the signer's own policy.
func signedWith(t testing.TB, signer *Signer) (*Signature, error) {
	client, subject := newClient(t), pushIndex(t, memoryRegistry(t, true).host)[0]
	must[int](t)(client.Sign(context.Background(), signer, subject))
	return client.Verify(context.Background(), subject, signer.Policy())
}

func TestKeyFromEnvironment(t *testing.T) {
	config := newKey(t, Bundle)
	setenv(t, "THE_KEY", string(must[[]byte](t)(os.ReadFile(config.Key))))
	setenv(t, "THE_PUBLIC_KEY", string(must[[]byte](t)(os.ReadFile(publicKeyName(config.Key)))))
	must[*Signature](t)(signedWith(t, newSigner(t, Config{Key: "env://THE_KEY"})))
	must[*Signature](t)(signedWith(t, newSigner(t, Config{Key: "env://THE_KEY", PublicKeys: []PublicKey{{File: "env://THE_PUBLIC_KEY"}}})))
	must[*Policy](t)(Config{PublicKeys: []PublicKey{{File: "env://THE_PUBLIC_KEY"}}}.Policy(context.Background()))
	if _, err := (Config{Key: "env://THE_KEY"}).Policy(context.Background()); err == nil || err.Error() != "no public key is known for env://THE_KEY: set publicKey" {
		t.Error(err)
	}
}

// writeKey writes a private key of any type in cosign's format.
func writeKey(t testing.TB, key crypto.Signer) string {
	t.Helper()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, must[[]byte](t)(cryptoutils.MarshalPrivateKeyToPEM(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := must[*cosign.KeysBytes](t)(cosign.ImportKeyPair(plain, func(bool) ([]byte, error) { return []byte(testPassword), nil }))
	file := filepath.Join(dir, "imported.key")
	if err := errors.Join(os.WriteFile(file, pair.PrivateBytes, 0o600), os.WriteFile(publicKeyName(file), pair.PublicBytes, 0o600)); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestKindsOfKeys(t *testing.T) {
	setenv(t, PasswordVariable, testPassword)
	for _, format := range formats {
		key := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
		must[*Signature](t)(signedWith(t, newSigner(t, Config{Format: format, Key: writeKey(t, key)})))
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for want, key := range map[string]crypto.Signer{
		"ed25519.PublicKey with this hash is not supported, expected ECDSA P-256 (libre keygen) or RSA": edwards,
		"*ecdsa.PublicKey with this hash is not supported, expected ECDSA P-256 (libre keygen) or RSA":  must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
	} {
		file := writeKey(t, key)
		if _, err := (Config{Key: file}).Signer(context.Background(), Prompts{}); err == nil || err.Error() != "open the private key "+file+": "+want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if _, err := (Config{Key: file}).Policy(context.Background()); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestBadConfigurations(t *testing.T) {
	config, other := newKey(t, Bundle), newKey(t, Bundle)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keyText := string(must[[]byte](t)(os.ReadFile(config.Key)))
	mixed := file("mixed.key", keyText)
	file("mixed.pub", string(must[[]byte](t)(os.ReadFile(publicKeyName(other.Key)))))
	broken := file("broken.key", string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: []byte("{}")})))
	noRoot := file("root.json", "{}")
	me := Identity{Issuer: "https://issuer.example", Subject: "me"}
	own := func(change func(*Keyless)) Config {
		k := &Keyless{Fulcio: "https://fulcio.example", Timestamp: "https://time.example/api", TrustedRoot: noRoot, Identity: me}
		change(k)
		return Config{Keyless: k}
	}
	for _, test := range []struct {
		name     string
		config   Config
		password string
		want     string
	}{
		{"nothing", Config{}, "", "sign: expected key or keyless"},
		{"both", Config{Key: "k", Keyless: &Keyless{}}, "", "sign: expected key or keyless, not both"},
		{"format", Config{Key: "k", Format: "both"}, "", `signature format "both", expected bundle or classic`},
		{"no file", Config{Key: "/nonexistent/cosign.key"}, "", "read a key: open /nonexistent/cosign.key: no such file or directory"},
		{"no variable", Config{Key: "env://NO_SUCH_KEY"}, "", "read a key: $NO_SUCH_KEY is not set"},
		{"key as file name", Config{Key: keyText}, "", "read a key: expected the name of a file or env://NAME, not the key"},
		{"key as variable name", Config{Key: "env://" + keyText}, "", "read a key: expected env:// and the name of a variable"},
		{"wrong password", Config{Key: config.Key}, "s3cret", "open the private key " + config.Key + ": wrong password"},
		{"no key", Config{Key: file("no.key", "hello")}, "", "open the private key " + dir + "/no.key: not a private key of cosign or libre keygen"},
		{"public as private", Config{Key: publicKeyName(config.Key)}, "", "open the private key " + publicKeyName(config.Key) + ": not a private key of cosign or libre keygen"},
		{"broken", Config{Key: broken}, "", `open the private key ` + broken + `: not a private key of cosign or libre keygen`},
		{"mixed", Config{Key: mixed}, testPassword, "publicKey does not include the public key of " + mixed + "; add it to publicKey below sign in libre.yaml"},
		{"public only", Config{PublicKeys: []PublicKey{{File: publicKeyName(config.Key)}}}, "", "a public key cannot sign: give the private key with --key, or as sign.key in libre.yaml"},
		{"nobody", Config{Keyless: &Keyless{}}, "", "sign.keyless: identity: expected an issuer and a subject"},
		{"bad pattern", Config{Keyless: &Keyless{Identity: Identity{Issuer: "i", Subject: "a)|(b"}}}, "", "sign.keyless: identity: subject: error parsing regexp: unexpected ): `a)|(b`"},
		{"not complete", own(func(k *Keyless) { k.Timestamp = "" }), "", "sign.keyless: a private Sigstore instance needs fulcio, timestamp and trustedRoot"},
		{"clear text", own(func(k *Keyless) { k.Fulcio = "http://fulcio.example" }), "", `sign.keyless: fulcio is "http://fulcio.example", expected an https URL`},
		{"no URL", own(func(k *Keyless) { k.Rekor = "rekor.example" }), "", `sign.keyless: rekor is "rekor.example", expected an https URL`},
		{"no root", own(func(k *Keyless) { k.TrustedRoot = "/nonexistent/root" }), "", "read the trusted root: open /nonexistent/root: no such file or directory"},
		{"bad root", own(func(*Keyless) {}), "", "read the trusted root " + noRoot + ": not a trusted_root.json of Sigstore"},
		{"empty root", own(func(k *Keyless) { k.TrustedRoot = signtest.EmptyRoot(t) }), "", "it has neither a timestamp authority nor a log, so signatures would expire with their certificates"},
	} {
		t.Run(test.name, func(t *testing.T) {
			setenv(t, PasswordVariable, test.password)
			_, err := test.config.Signer(context.Background(), Prompts{})
			if err == nil || !strings.HasSuffix(err.Error(), test.want) {
				t.Fatalf("got  %v\nwant %s", err, test.want)
			}
			for _, secret := range []string{test.password, keyText[60:90]} {
				if secret != "" && strings.Contains(err.Error(), secret) {
					t.Errorf("a secret in %v", err)
				}
			}
		})
	}
}

func TestStatementBytes(t *testing.T) {
	host := "registry.example/lasuite/docs-backend-default@sha256:"
	subjects := mustDigests(t, host+strings.Repeat("a", 64), host+strings.Repeat("b", 64))
	got := must[[]byte](t)(newStatement(cycloneDX, []byte("{ \"a\": \"<&>\",\n \"b\": 1e3 }"), subjects))
	want := `{"_type":"https://in-toto.io/Statement/v1","subject":[` +
		`{"name":"registry.example/lasuite/docs-backend-default@sha256:` + strings.Repeat("a", 64) + `","digest":{"sha256":"` + strings.Repeat("a", 64) + `"}},` +
		`{"name":"registry.example/lasuite/docs-backend-default@sha256:` + strings.Repeat("b", 64) + `","digest":{"sha256":"` + strings.Repeat("b", 64) + `"}}],` +
		`"predicateType":"https://cyclonedx.org/bom","predicate":{"a":"<&>","b":1e3}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestShellQuote(t *testing.T) {
	for _, word := range []string{"plain-1.2_3/x@sha256:0", "", "it's", "$HOME `id` \"x\"", "a b\nc", "^(?:a|b)$", "ü"} {
		output := must[[]byte](t)(exec.Command("sh", "-c", "printf %s "+ShellQuote(word)).Output())
		if string(output) != word {
			t.Errorf("%q became %q", word, output)
		}
	}
}

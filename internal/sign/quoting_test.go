package sign

import (
	"context"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// A catalogue may name any file as a key or a trusted root. Errors must not quote its content.
func TestErrorsQuoteNoFile(t *testing.T) {
	setenv(t, PasswordVariable, "x")
	const canary = "CANARY"
	for name, text := range map[string]string{
		"a word":               canary + ":x:0:0",
		"a word of JSON":       canary,
		"JSON":                 `{"` + canary + `": "` + canary + `"}`,
		"JSON of its kind":     `{"mediaType": "` + canary + `", "tlogs": [{"baseUrl": 1}]}`,
		"a kind of time":       `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[{"publicKey":{"validFor":{"start":"` + canary + `"}}}]}`,
		"PEM of another kind":  string(pem.EncodeToMemory(&pem.Block{Type: canary + " TOKEN", Bytes: []byte(canary)})),
		"PEM with another key": string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: []byte(`{"kdf":{"name":"` + canary + `"}}`)})),
		"PEM of no key":        string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(canary)})),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "any")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, public := ReadPublicKey(file)
			_, private := readPrivateKey(file, nil)
			_, root := ReadTrustedRoot(context.Background(), file)
			for what, err := range map[string]error{"public key": public, "private key": private, "trusted root": root} {
				if err == nil || !strings.Contains(err.Error(), file) {
					t.Errorf("%s: %v", what, err)
				} else if strings.Contains(strings.ToUpper(err.Error()), canary[:1]+"AN") || strings.Contains(err.Error(), "'C'") {
					t.Errorf("%s is quoted: %v", what, err)
				}
			}
		})
	}
}

// Reading a key that is not a regular file must not block.
func TestReadingAKeyDoesNotBlock(t *testing.T) {
	setenv(t, PasswordVariable, "x")
	for name, file := range testkit.OddFiles(t) {
		for what, read := range map[string]func() error{
			"public key":   func() error { _, err := ReadPublicKey(file); return err },
			"private key":  func() error { _, err := readPrivateKey(file, nil); return err },
			"trusted root": func() error { _, err := ReadTrustedRoot(context.Background(), file); return err },
			"token": func() error {
				_, err := Keyless{TokenFile: file}.token(context.Background(), "", Prompts{}, nil)
				return err
			},
		} {
			testkit.Refused(t, name+" as a "+what, read)
		}
	}
}

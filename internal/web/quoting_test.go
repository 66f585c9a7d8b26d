package web

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// A catalogue may name any file as ca. No error quotes it.
func TestErrorsQuoteNoFileOfAuthorities(t *testing.T) {
	block := func(kind string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("CANARY")}))
	}
	for _, text := range []string{"CANARY:x:0:0", block("CANARY TOKEN"), block("CERTIFICATE"), "CANARY\n" + block("CERTIFICATE") + "CANARY"} {
		file := filepath.Join(t.TempDir(), "any")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadAuthorities(file); err == nil || !strings.Contains(err.Error(), file) || strings.Contains(strings.ToUpper(err.Error()), "CANARY") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWhatIsNoCertificateIsNotWaitedFor(t *testing.T) {
	for name, file := range testkit.OddFiles(t) {
		testkit.Refused(t, name, func() error { _, err := ReadAuthorities(file); return err })
	}
}

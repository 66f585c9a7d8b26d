package sign

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/libresh/libre/internal/sign/signtest"
	"github.com/libresh/libre/internal/web"
)

// Keyless signing reaches services that have certificates of a company's authority only if
// the configuration names the authority. It sends one request to each service.
func TestServicesOfOwnAuthority(t *testing.T) {
	asked := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		http.Error(w, "this is the service", http.StatusBadRequest)
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := web.ReadAuthorities(file)
	if err != nil {
		t.Fatal(err)
	}
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(signtest.NewIssuer(t).Token(t, time.Minute)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, authorities := range []*web.Authorities{nil, own} {
		config := Config{Authorities: authorities, Keyless: &Keyless{
			Fulcio: server.URL, Rekor: server.URL, Timestamp: server.URL, TrustedRoot: signtest.EmptyRoot(t), TokenFile: tokenFile,
		}}
		logs, err := logsOf([]root.Service{{URL: server.URL, MajorAPIVersion: 2}}, authorities)
		if err != nil {
			t.Fatal(err)
		}
		services := &certified{
			instance: &instance{fulcio: server.URL, timestamps: []string{server.URL}},
			services: web.Once(authorities), logs: logs,
			token: func(ctx context.Context) (string, error) {
				return config.Keyless.token(ctx, "", Prompts{}, nil)
			},
		}
		_, _, certificate := services.open(t.Context())
		if services.key, err = sign.NewEphemeralKeypair(nil); err != nil {
			t.Fatal(err)
		}
		services.until = time.Now().Add(time.Hour)
		_, options, err := services.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, timestamp := options.TimestampAuthorities[0].GetTimestamp(t.Context(), []byte("signature"))
		public, err := services.key.GetPublicKeyPem()
		if err != nil {
			t.Fatal(err)
		}
		entry := options.TransparencyLogs[0].GetTransparencyLogEntry(t.Context(), []byte(public), &protobundle.Bundle{
			VerificationMaterial: &protobundle.VerificationMaterial{},
			Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
				MessageDigest: &protocommon.HashOutput{Digest: make([]byte, 32)}, Signature: []byte("signature"),
			}},
		})
		t.Setenv(requestURLVariable, server.URL)
		_, token := actionsToken(t.Context(), web.Once(authorities), server.URL, "bearer")
		for service, err := range map[string]error{"fulcio": certificate, "timestamp": timestamp, "rekor": entry, "actions": token} {
			if err == nil || strings.Contains(err.Error(), "certificate signed by unknown authority") != (authorities == nil) {
				t.Errorf("%s, with ca %v: %v", service, authorities != nil, err)
			}
		}
	}
	if asked != 4 {
		t.Errorf("asked %d times, expected one each", asked)
	}
}

package publish

import (
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	randomimage "github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// With SSL_CERT_FILE, SSL_CERT_DIR or ca in libre.yaml, commands that publish, verify and
// update accept a registry whose certificate a private authority signed.
func TestRegistryOfAPrivateAuthorityNeedsCA(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	base, err := randomimage.Index(100, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := name.ParseReference(host + "/base:1")
	if err == nil {
		err = remote.WriteIndex(reference, base, remote.WithTransport(server.Client().Transport))
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := base.Digest()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "ours.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string]struct{ variable, setting string }{
		"nothing":       {},
		"SSL_CERT_FILE": {variable: "SSL_CERT_FILE=" + file},
		"SSL_CERT_DIR":  {variable: "SSL_CERT_DIR=" + dir},
		"ca":            {setting: "ca: " + file + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := shared(t).copy(t)
			c.file(t, "apps/three/default.nix", `{ mkApp, ... }:
mkApp { name = "three"; version = "1"; packageVersion = 1; source.path = ./src; components.web = { containerfile = "Containerfile"; }; }
`)
			c.file(t, "apps/three/src/Containerfile", "FROM "+host+"/base:1\n")
			c.file(t, "libre.yaml", "sign: {key: cosign.key}\n"+how.setting)
			if c.env = append(c.env, "SSL_CERT_FILE=", "SSL_CERT_DIR="); how.variable != "" {
				c.env = append(c.env, how.variable)
			}
			prefix := host + "/" + strings.ToLower(name)
			commands := [][]string{
				{"push", two, "--to", prefix}, {"plan", two, "--to", prefix}, {"status", two, "--to", prefix}, {"verify", two, "--to", prefix},
				{"list", prefix + "/two-default"}, {"bump", "--inputs"},
			}
			var got outcome
			for _, args := range commands {
				got = c.run(args...)
				if name != "nothing" {
					got.want(t, 0)
				} else if got.code == 0 || !strings.Contains(got.stdout+got.stderr, "which is not trusted here") {
					t.Errorf("%s: exit code %d\n%s%s", args, got.code, got.stdout, got.stderr)
				}
			}
			written, err := os.ReadFile(filepath.Join(c.dir, "apps/three/default.nix"))
			if err != nil || strings.Contains(string(written), digest.String()) != (name != "nothing") {
				t.Errorf("%v: the pin of the base:\n%s%s%s", err, written, got.stdout, got.stderr)
			}
		})
	}
}

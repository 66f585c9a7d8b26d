//go:build interop

package containerfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/containerfile/buildkit"
	"github.com/libresh/libre/internal/testkit"
)

// authority issues certificates. Its own is in the file ca.
type authority struct {
	ca   string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	a := authority{}
	a.ca, _ = a.issue(t)
	block, _ := pem.Decode(readFile(t, a.ca))
	var err error
	if a.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	block, _ = pem.Decode(readFile(t, filepath.Join(filepath.Dir(a.ca), "key.pem")))
	if a.key, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue makes a certificate for 127.0.0.1 and its key, in files.
func (a authority) issue(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true, IsCA: a.key == nil,
	}
	parent, signer := a.cert, a.key
	if signer == nil {
		parent, signer = template, private
	}
	made, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: made}, key: {Type: "EC PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Over TCP the daemon and libre trust each other by certificates. Everything else is one line.
func TestInteropBuildKitOverTLS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	serverCert, serverKey := ours.issue(t)
	address := testkit.FreeAddress(t)
	testkit.BuildKit(t, "--addr", "tcp://"+address, "--tlscacert", ours.ca, "--tlscert", serverCert, "--tlskey", serverKey)
	cert, key := ours.issue(t)
	otherCert, otherKey := others.issue(t)
	host := "tcp://" + address
	base := catalogueLayout(t, "base", busyboxIndex(t))
	for name, test := range map[string]struct {
		daemon buildkit.Daemon
		want   string
	}{
		"both certificates":           {buildkit.Daemon{Host: host, CA: ours.ca, Cert: cert, Key: key}, ""},
		"another authority":           {buildkit.Daemon{Host: host, CA: others.ca, Cert: cert, Key: key}, "does not answer: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		"no certificate":              {buildkit.Daemon{Host: host, CA: ours.ca}, "does not answer: "},
		"another's certificate":       {buildkit.Daemon{Host: host, CA: ours.ca, Cert: otherCert, Key: otherKey}, "does not answer: "},
		"no TLS":                      {buildkit.Daemon{Host: host}, "does not answer: "},
		"a key that does not fit":     {buildkit.Daemon{Host: host, CA: ours.ca, Cert: cert, Key: otherKey}, "buildkit.cert and buildkit.key: tls: private key does not match public key"},
		"no file":                     {buildkit.Daemon{Host: host, CA: "/nowhere/ca.pem"}, "buildkit.ca: open /nowhere/ca.pem: no such file or directory"},
		"a file without certificates": {buildkit.Daemon{Host: host, CA: key}, "has no certificate in PEM"},
	} {
		e, err := Detect(t.Context(), Choice{Name: "buildkit", BuildKit: BuildKit{Daemon: test.daemon}})
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want %s", name, err, test.want)
			}
			if strings.Contains(test.want, "answer") && !strings.HasSuffix(err.Error(), "to files that fit it") {
				t.Errorf("%s: no fix: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		req := request(t, write(t, map[string]string{"Containerfile": "FROM base\nRUN busybox touch /made\n"}), map[string]Origin{"base": {Layout: base}})
		res, err := NewBuilder(e, "").Build(t.Context(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		img, _ := built(t, res)
		if _, made := filesOf(t, img)["/made"]; !made {
			t.Errorf("%s: the step did not run", name)
		}
	}
}

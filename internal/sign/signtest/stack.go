//go:build interop

package signtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/libresh/libre/internal/testkit"
)

// A Stack is a set of Sigstore's services on this machine, with files of roots that trust
// them.
type Stack struct {
	Issuer                   *Issuer
	Fulcio, Timestamp, Rekor string // URLs
	Root                     string // root with the log
	RootWithoutLog           string
	Strangers                string // root with another certificate authority
	Cosign2Flags             string // replaces --trusted-root, which cosign 2.6 does not accept everywhere
}

// StartStack starts the services and stops them after the test.
func StartStack(t testing.TB) *Stack {
	fulcio, timestamp, rekor := fulcio.get(t), timestamp.get(t), rekor.get(t)
	dir := t.TempDir()
	s := &Stack{Issuer: NewIssuer(t)}
	alone(t, filepath.Join(filepath.Dir(timestamp), "stack.lock"))

	config := filepath.Join(dir, "fulcio.yaml")
	write(t, config, fmt.Appendf(nil, "oidc-issuers:\n  %[1]s:\n    issuer-url: %[1]s\n    client-id: sigstore\n    type: email\n", s.Issuer.URL))
	address := testkit.FreeAddress(t)
	s.Fulcio = "http://" + address
	testkit.Serve(t, s.Fulcio+"/healthz", exec.Command(fulcio, "serve", "--ca=ephemeralca", "--ct-log-url=", "--config-path="+config,
		"--host=127.0.0.1", "--port="+port(address), "--grpc-host=127.0.0.1", "--grpc-port="+freePort(t),
		"--metrics-port="+freePort(t), "--legacy-unix-domain-socket="+filepath.Join(dir, "fulcio.sock")))

	address = testkit.FreeAddress(t)
	s.Timestamp = "http://" + address + "/api/v1/timestamp"
	testkit.Serve(t, s.Timestamp+"/certchain", exec.Command(timestamp, "serve", "--timestamp-signer=memory", "--disable-ntp-monitoring", "--host=127.0.0.1", "--port="+port(address)))

	address = testkit.FreeAddress(t)
	s.Rekor = "http://" + address
	logKey := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	keyFile := filepath.Join(dir, "rekor.pem")
	write(t, keyFile, must[[]byte](t)(cryptoutils.MarshalPrivateKeyToPEM(logKey)))
	testkit.Serve(t, s.Rekor+"/healthz", exec.Command(rekor, "serve", "--hostname=127.0.0.1", "--storage-dir="+filepath.Join(dir, "log"), "--signer-filepath="+keyFile,
		"--http-port="+port(address), "--grpc-port="+freePort(t), "--http-metrics-port="+freePort(t),
		"--checkpoint-interval=500ms", "--batch-max-age=50ms"))
	s.writeRoots(t, dir, logKey)
	return s
}

// writeRoots fetches the services' certificates and writes the roots.
func (s *Stack) writeRoots(t testing.TB, dir string, logKey *ecdsa.PrivateKey) {
	var trust struct {
		Chains []struct {
			Certificates []string `json:"certificates"`
		} `json:"chains"`
	}
	if err := json.Unmarshal(get(t, s.Fulcio+"/api/v2/trustBundle"), &trust); err != nil {
		t.Fatal(err)
	}
	began := time.Now().Add(-time.Hour)
	caFile, clockFile := filepath.Join(dir, "fulcio.pem"), filepath.Join(dir, "timestamp.pem")
	ca, clocks := []byte(trust.Chains[0].Certificates[0]), get(t, s.Timestamp+"/certchain")
	write(t, caFile, ca)
	write(t, clockFile, clocks)
	s.Cosign2Flags = "--ca-roots " + caFile + " --timestamp-certificate-chain " + clockFile
	authority := &root.FulcioCertificateAuthority{Root: certificates(t, ca)[0], ValidityPeriodStart: began, URI: s.Fulcio}
	chain := certificates(t, clocks)
	clock := &root.SigstoreTimestampingAuthority{Leaf: chain[0], Intermediates: chain[1 : len(chain)-1], Root: chain[len(chain)-1], ValidityPeriodStart: began, URI: s.Timestamp}
	der := must[[]byte](t)(x509.MarshalPKIXPublicKey(logKey.Public()))
	id := sha256.Sum256(der)
	log := &root.TransparencyLog{BaseURL: s.Rekor, ID: id[:], ValidityPeriodStart: began, HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256, PublicKey: logKey.Public()}
	writeRoot := func(name string, ca root.CertificateAuthority, logs map[string]*root.TransparencyLog) string {
		trusted := must[*root.TrustedRoot](t)(root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{ca}, nil, []root.TimestampingAuthority{clock}, logs))
		file := filepath.Join(dir, name)
		write(t, file, must[[]byte](t)(trusted.MarshalJSON()))
		return file
	}
	logs := map[string]*root.TransparencyLog{hex.EncodeToString(id[:]): log}
	s.Root = writeRoot("trusted_root.json", authority, logs)
	s.RootWithoutLog = writeRoot("without_log.json", authority, nil)
	// the same name with another key
	stranger := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	copied := *authority.Root
	copied.SignatureAlgorithm, copied.PublicKeyAlgorithm, copied.PublicKey = 0, 0, stranger.Public()
	forged := must[[]byte](t)(x509.CreateCertificate(rand.Reader, &copied, &copied, stranger.Public(), stranger))
	s.Strangers = writeRoot("strangers.json", &root.FulcioCertificateAuthority{Root: must[*x509.Certificate](t)(x509.ParseCertificate(forged)), ValidityPeriodStart: began, URI: s.Fulcio}, nil)
}

// alone waits until no other test on this machine runs a stack: the timestamp authority
// uses a fixed port for its metrics.
func alone(t testing.TB, path string) {
	lock := must[*os.File](t)(os.Create(path))
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

func freePort(t testing.TB) string { return port(testkit.FreeAddress(t)) }

func get(t testing.TB, url string) []byte {
	response := must[*http.Response](t)(http.Get(url))
	defer response.Body.Close()
	body := must[[]byte](t)(io.ReadAll(response.Body))
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", url, response.Status, body)
	}
	return body
}

func certificates(t testing.TB, text []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for block, rest := pem.Decode(bytes.TrimSpace(text)); block != nil; block, rest = pem.Decode(rest) {
		all = append(all, must[*x509.Certificate](t)(x509.ParseCertificate(block.Bytes)))
	}
	return all
}

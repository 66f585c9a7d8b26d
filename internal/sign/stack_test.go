package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// An issuer is a small OpenID Connect provider where everybody is who he says.
type issuer struct {
	url     string
	key     *ecdsa.PrivateKey
	subject string        // an e-mail address
	life    time.Duration // of a token
	asked   int           // tokens handed out
	fails   int           // requests to answer with 503 first
}

const actionsSecret = "request-token-of-this-job"

func newIssuer(t testing.TB) *issuer {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	i := &issuer{key: key, subject: "ci@example.org", life: 10 * time.Minute}
	nonces := map[string]string{}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.url, "jwks_uri": i.url + "/keys", "authorization_endpoint": i.url + "/auth", "token_endpoint": i.url + "/token",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"ES256"}, "code_challenge_methods_supported": []string{"S256"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": number(key.X), "y": number(key.Y),
		}}})
	})
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		nonces["a-code"] = query.Get("nonce")
		back := url.Values{"code": {"a-code"}, "state": {query.Get("state")}}
		http.Redirect(w, r, query.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"access_token": "a", "token_type": "Bearer", "id_token": i.token(t, nonces[r.FormValue("code")])})
	})
	mux.HandleFunc("/actions", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case i.fails > 0:
			i.fails--
			http.Error(w, "later", http.StatusServiceUnavailable)
		case r.Header.Get("Authorization") != "Bearer "+actionsSecret || r.URL.Query().Get("audience") != "sigstore" || r.URL.Query().Get("version") != "2":
			http.Error(w, "who? "+r.Header.Get("Authorization"), http.StatusForbidden)
		default:
			json.NewEncoder(w).Encode(map[string]string{"value": i.token(t, "")})
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

func number(n *big.Int) string {
	return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32)))
}

// token is a JSON web token (RFC 7519), signed with ES256.
func (i *issuer) token(t testing.TB, nonce string) string {
	i.asked++
	now := time.Now()
	claims := map[string]any{
		"iss": i.url, "aud": "sigstore", "sub": "1", "email": i.subject, "email_verified": true, "nonce": nonce,
		"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(i.life).Unix(),
	}
	encode := func(v any) string { return base64.RawURLEncoding.EncodeToString(must[[]byte](t)(json.Marshal(v))) }
	text := encode(map[string]string{"alg": "ES256", "kid": "1", "typ": "JWT"}) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// A stack is Sigstore's services on this machine, and a root that trusts them.
type stack struct {
	issuer                   *issuer
	fulcio, timestamp, rekor string
	root                     string // file; with the log
	rootWithoutLog           string
	strangers                string // root with another certificate authority
	cosign2Flags             string // in place of --trusted-root, which cosign 2.6 does not take everywhere
}

func newStack(t testing.TB) *stack {
	fulcio := program(t, "github.com/sigstore/fulcio", "v1.8.8")
	timestamp := program(t, "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server", "v2.1.2")
	rekor := program(t, "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix", "v2.3.0")
	dir := t.TempDir()
	s := &stack{issuer: newIssuer(t)}
	alone(t, filepath.Join(filepath.Dir(timestamp), "stack.lock"))

	config := filepath.Join(dir, "fulcio.yaml")
	text := fmt.Sprintf("oidc-issuers:\n  %[1]s:\n    issuer-url: %[1]s\n    client-id: sigstore\n    type: email\n", s.issuer.url)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	s.fulcio = "http://" + address
	start(t, s.fulcio+"/healthz", exec.Command(fulcio, "serve", "--ca=ephemeralca", "--ct-log-url=", "--config-path="+config,
		"--host=127.0.0.1", "--port="+port(address), "--grpc-host=127.0.0.1", "--grpc-port="+port(freeAddress(t)),
		"--metrics-port="+port(freeAddress(t)), "--legacy-unix-domain-socket="+filepath.Join(dir, "fulcio.sock")))

	address = freeAddress(t)
	s.timestamp = "http://" + address + "/api/v1/timestamp"
	start(t, s.timestamp+"/certchain", exec.Command(timestamp, "serve", "--timestamp-signer=memory", "--disable-ntp-monitoring", "--host=127.0.0.1", "--port="+port(address)))

	address = freeAddress(t)
	s.rekor = "http://" + address
	logKey := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	keyFile := filepath.Join(dir, "rekor.pem")
	if err := os.WriteFile(keyFile, must[[]byte](t)(cryptoutils.MarshalPrivateKeyToPEM(logKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, s.rekor+"/healthz", exec.Command(rekor, "serve", "--hostname=127.0.0.1", "--storage-dir="+filepath.Join(dir, "log"), "--signer-filepath="+keyFile,
		"--http-port="+port(address), "--grpc-port="+port(freeAddress(t)), "--http-metrics-port="+port(freeAddress(t)),
		"--checkpoint-interval=500ms", "--batch-max-age=50ms"))

	var trust struct {
		Chains []struct {
			Certificates []string `json:"certificates"`
		} `json:"chains"`
	}
	if err := json.Unmarshal(get(t, s.fulcio+"/api/v2/trustBundle"), &trust); err != nil {
		t.Fatal(err)
	}
	began := time.Now().Add(-time.Hour)
	caFile, clockFile := filepath.Join(dir, "fulcio.pem"), filepath.Join(dir, "timestamp.pem")
	for file, text := range map[string][]byte{caFile: []byte(trust.Chains[0].Certificates[0]), clockFile: get(t, s.timestamp+"/certchain")} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.cosign2Flags = "--ca-roots " + caFile + " --timestamp-certificate-chain " + clockFile
	authority := &root.FulcioCertificateAuthority{Root: certificates(t, []byte(trust.Chains[0].Certificates[0]))[0], ValidityPeriodStart: began, URI: s.fulcio}
	chain := certificates(t, get(t, s.timestamp+"/certchain"))
	clock := &root.SigstoreTimestampingAuthority{Leaf: chain[0], Intermediates: chain[1 : len(chain)-1], Root: chain[len(chain)-1], ValidityPeriodStart: began, URI: s.timestamp}
	der := must[[]byte](t)(x509.MarshalPKIXPublicKey(logKey.Public()))
	id := sha256.Sum256(der)
	log := &root.TransparencyLog{BaseURL: s.rekor, ID: id[:], ValidityPeriodStart: began, HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256, PublicKey: logKey.Public()}
	write := func(name string, ca root.CertificateAuthority, logs map[string]*root.TransparencyLog) string {
		trusted := must[*root.TrustedRoot](t)(root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{ca}, nil, []root.TimestampingAuthority{clock}, logs))
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, must[[]byte](t)(trusted.MarshalJSON()), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	logs := map[string]*root.TransparencyLog{hex.EncodeToString(id[:]): log}
	s.root = write("trusted_root.json", authority, logs)
	s.rootWithoutLog = write("without_log.json", authority, nil)
	// Same name, other key.
	stranger := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	copied := *authority.Root
	copied.SignatureAlgorithm, copied.PublicKeyAlgorithm, copied.PublicKey = 0, 0, stranger.Public()
	forged := must[[]byte](t)(x509.CreateCertificate(rand.Reader, &copied, &copied, stranger.Public(), stranger))
	s.strangers = write("strangers.json", &root.FulcioCertificateAuthority{Root: must[*x509.Certificate](t)(x509.ParseCertificate(forged)), ValidityPeriodStart: began, URI: s.fulcio}, nil)
	return s
}

// alone waits for other tests on this machine: the timestamp authority insists on
// one port for its metrics.
func alone(t testing.TB, path string) {
	lock := must[*os.File](t)(os.Create(path))
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

// config is how a catalogue would use the stack in one format.
func (s *stack) config(format Format) Config {
	keyless := &Keyless{
		Fulcio: s.fulcio, Rekor: s.rekor, Timestamp: s.timestamp, TrustedRoot: s.root, Issuer: s.issuer.url,
		Identity: Identity{Issuer: s.issuer.url, Subject: `ci@example\.org`},
	}
	if format == Classic {
		keyless.Rekor, keyless.TrustedRoot = "", s.rootWithoutLog
	}
	return Config{Format: format, Keyless: keyless}
}

func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

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

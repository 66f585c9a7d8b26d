package sign

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	rekor "github.com/sigstore/rekor-tiles/v2/pkg/client"
	"github.com/sigstore/rekor-tiles/v2/pkg/client/write"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/tuf"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/web"
)

// Keyless configures signing with short-lived certificates for an identity. With neither
// services nor a trusted root it uses Sigstore's public instance.
type Keyless struct {
	Fulcio      string `yaml:"fulcio"`      // URL of the certificate authority
	Rekor       string `yaml:"rekor"`       // URL of the transparency log (version 2); "" if the instance has none
	Timestamp   string `yaml:"timestamp"`   // URL of the timestamp authority, with its path
	TrustedRoot string `yaml:"trustedRoot"` // file with the trusted root of these services

	TokenFile string `yaml:"tokenFile"` // file with an identity token, read again for each certificate
	Issuer    string `yaml:"issuer"`    // URL of the OpenID Connect issuer for a login in the browser; "" is Sigstore's

	Identity Identity `yaml:"identity"` // the signer
}

// Public reports whether Sigstore's public instance issues the certificates.
func (k Keyless) Public() bool {
	return k.Fulcio == "" && k.Rekor == "" && k.Timestamp == "" && k.TrustedRoot == ""
}

// Check returns an error if a field is missing or invalid.
func (k Keyless) Check() error {
	if err := k.Identity.check(); err != nil {
		return fmt.Errorf("sign.keyless: %w", err)
	}
	for _, service := range []struct{ key, url string }{{"fulcio", k.Fulcio}, {"rekor", k.Rekor}, {"timestamp", k.Timestamp}, {"issuer", k.Issuer}} {
		if service.url != "" && !SafeURL(service.url) {
			return fmt.Errorf("sign.keyless: %s is %q, expected an https URL", service.key, service.url)
		}
	}
	if !k.Public() && (k.Fulcio == "" || k.Timestamp == "" || k.TrustedRoot == "") {
		return errors.New("sign.keyless: a private Sigstore instance needs fulcio, timestamp and trustedRoot")
	}
	return nil
}

// SafeURL reports whether tokens may be sent to a URL: it uses https, or leads to this
// machine.
func SafeURL(text string) bool {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" {
		return false
	}
	return parsed.Scheme == "https" || parsed.Scheme == "http" && web.IsLoopback(parsed.Host)
}

// A TrustedRoot lists the authorities and logs whose certificates, timestamps and entries
// are trusted.
type TrustedRoot struct {
	name     string   // of the file; "" for Sigstore's public instance
	content  [32]byte // SHA-256 of the file
	material root.TrustedMaterial
}

// ReadTrustedRoot reads a file in Sigstore's format (trusted_root.json). For "" it fetches
// the root of Sigstore's public instance with TUF, which caches it.
func ReadTrustedRoot(ctx context.Context, name string) (*TrustedRoot, error) {
	if name == "" {
		material, err := root.FetchTrustedRootWithOptions(tuf.DefaultOptions().WithContext(ctx))
		if err != nil {
			return nil, &fault.Fault{
				Kind: fault.Unreachable, Doing: "fetching the trusted root of Sigstore's public instance", Err: err,
				Fix: "give the trusted root as --trusted-root FILE, or set sign.keyless.trustedRoot in libre.yaml",
			}
		}
		return &TrustedRoot{material: material}, nil
	}
	text, err := file.Read(name)
	if err != nil {
		return nil, fmt.Errorf("read the trusted root: %w", err)
	}
	material, err := root.NewTrustedRootFromJSON(text)
	if err != nil {
		return nil, fmt.Errorf("read the trusted root %s: not a trusted_root.json of Sigstore", name) // err may quote it
	}
	return &TrustedRoot{name: name, content: sha256.Sum256(text), material: material}, nil
}

// An instance lists the services of a Sigstore instance.
type instance struct {
	fulcio     string
	timestamps []string
	logs       []root.Service
	issuer     string // for a login in the browser
}

// sigstoreIssuer is the OpenID Connect issuer of the public instance.
const sigstoreIssuer = "https://oauth2.sigstore.dev/auth"

func (k Keyless) instance(ctx context.Context) (*instance, error) {
	in := &instance{fulcio: k.Fulcio, timestamps: []string{k.Timestamp}, issuer: k.Issuer}
	if in.issuer == "" {
		in.issuer = sigstoreIssuer
	}
	if !k.Public() {
		if k.Rekor != "" {
			in.logs = []root.Service{{URL: k.Rekor, MajorAPIVersion: 2}}
		}
		return in, nil
	}
	// The public log gets a new URL every few months. Sigstore's signing configuration has it.
	config, err := root.FetchSigningConfigWithOptions(tuf.DefaultOptions().WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("fetch Sigstore's signing configuration: %w", err)
	}
	now := time.Now()
	authority, err := root.SelectService(config.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	if err != nil {
		return nil, fmt.Errorf("choose a certificate authority of Sigstore: %w", err)
	}
	timestamps, err := root.SelectServices(config.TimestampAuthorityURLs(), config.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, now)
	if err != nil {
		return nil, fmt.Errorf("choose a timestamp authority of Sigstore: %w", err)
	}
	in.fulcio, in.timestamps = authority.URL, nil
	for _, timestamp := range timestamps {
		in.timestamps = append(in.timestamps, timestamp.URL)
	}
	in.logs, err = root.SelectServices(config.RekorLogURLs(), config.RekorLogURLsConfig(), sign.RekorAPIVersions, now)
	if err != nil {
		return nil, fmt.Errorf("choose a transparency log of Sigstore: %w", err)
	}
	return in, nil
}

func (c Config) keylessSigner(ctx context.Context, prompts Prompts) (*Signer, error) {
	policy, err := c.Policy(ctx)
	if err != nil {
		return nil, err
	}
	if policy.format == Classic && len(policy.root.material.RekorLogs()) > 0 {
		return nil, errors.New("sign.keyless: the format classic cannot hold entries of Rekor v2: use the format bundle, or a trusted root without a log")
	}
	in, err := c.Keyless.instance(ctx)
	if err != nil {
		return nil, err
	}
	services := web.Once(c.Authorities)
	logs, err := logsOf(in.logs, c.Authorities)
	if err != nil {
		return nil, err
	}
	return &Signer{policy: policy, credentials: &certified{
		instance: in,
		services: services,
		logs:     logs,
		token: func(ctx context.Context) (string, error) {
			return c.Keyless.token(ctx, in.issuer, prompts, services)
		},
	}}, nil
}

// certified makes keys in memory and gets certificates for them. It uses a key for half of
// its certificate's lifetime (10 minutes for Fulcio's), so that a run with hundreds of
// signatures needs few certificates.
type certified struct {
	instance *instance
	services http.RoundTripper // transport for all services but the logs
	logs     []sign.RekorOptions
	token    func(context.Context) (string, error)

	mu    sync.Mutex
	key   sign.Keypair
	cert  issued
	until time.Time
}

// issued is a certificate, in DER, that was issued before.
type issued []byte

func (i issued) GetCertificate(context.Context, sign.Keypair, *sign.CertificateProviderOptions) ([]byte, error) {
	return i, nil
}

// logsOf returns the options for reaching the logs. The client for version 2 of the log
// cannot use both a proxy and additional authorities. So behind a proxy, an authority that
// the system trusts must have signed the log's certificate.
func logsOf(services []root.Service, authorities *web.Authorities) ([]sign.RekorOptions, error) {
	var logs []sign.RekorOptions
	for _, service := range services {
		log := sign.RekorOptions{BaseURL: service.URL, Version: service.MajorAPIVersion}
		request, err := http.NewRequest(http.MethodPost, service.URL, nil)
		if err != nil {
			return nil, fmt.Errorf("reach the transparency log: %w", err)
		}
		proxy, err := http.ProxyFromEnvironment(request)
		if err != nil {
			return nil, fmt.Errorf("reach the transparency log: %w", err)
		}
		if authorities != nil && proxy == nil && log.Version == 2 {
			if log.ClientV2, err = write.NewWriter(service.URL, rekor.WithTLSConfig(authorities.TLS())); err != nil {
				return nil, fmt.Errorf("reach the transparency log: %w", err)
			}
		}
		logs = append(logs, log)
	}
	return logs, nil
}

func (c *certified) open(ctx context.Context) (sign.Keypair, sign.BundleOptions, error) {
	var options sign.BundleOptions
	c.mu.Lock()
	defer c.mu.Unlock()
	if !time.Now().Before(c.until) {
		if err := c.renew(ctx); err != nil {
			return nil, options, err
		}
	}
	options.CertificateProvider = c.cert
	transport := &serviceTransport{ctx, c.services}
	for _, url := range c.instance.timestamps {
		options.TimestampAuthorities = append(options.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: url, Transport: transport}))
	}
	for _, log := range c.logs {
		// One client for each signature: it is not safe for concurrent use.
		options.TransparencyLogs = append(options.TransparencyLogs, sign.NewRekor(&log))
	}
	return c.key, options, nil
}

func (c *certified) renew(ctx context.Context) error {
	token, err := c.token(ctx)
	if err != nil {
		return err
	}
	if err := checkToken(token, time.Now()); err != nil {
		return credentialFault(err)
	}
	key, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	start := time.Now() // use this machine's clock only: the service's may differ
	fulcio := sign.NewFulcio(&sign.FulcioOptions{BaseURL: c.instance.fulcio, Transport: &serviceTransport{ctx, c.services}})
	der, err := fulcio.GetCertificate(ctx, key, &sign.CertificateProviderOptions{IDToken: token})
	if err != nil {
		err = fmt.Errorf("get a certificate from %s: %w", c.instance.fulcio, err)
		if isTemporary(err) {
			return err
		}
		return credentialFault(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("get a certificate from %s: %w", c.instance.fulcio, err)
	}
	c.key, c.cert, c.until = key, der, start.Add(cert.NotAfter.Sub(cert.NotBefore)/2)
	return nil
}

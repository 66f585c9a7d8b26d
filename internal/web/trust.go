package web

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/text"
)

// Authorities are certificates of authorities that were read from a file.
type Authorities struct {
	File  string
	certs []*x509.Certificate
	pem   []byte
}

// ReadAuthorities reads a file of certificates in PEM. A catalogue may name any file, so
// errors do not quote its content.
func ReadAuthorities(name string) (*Authorities, error) {
	content, err := file.Read(name)
	if err != nil {
		return nil, err
	}
	read := &Authorities{File: name, pem: content}
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("reading %s: it has other PEM blocks; expected certificates of authorities only", name)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading %s: invalid certificate", name) // err may quote it
		}
		read.certs = append(read.certs, certificate)
	}
	if len(read.certs) == 0 {
		return nil, fmt.Errorf("reading %s: no certificate; expected -----BEGIN CERTIFICATE-----", name)
	}
	return read, nil
}

// Bundle returns the system's authorities and these, in PEM, for programs that read one
// file only.
func (a *Authorities) Bundle() []byte {
	files := []string{os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}
	for _, file := range files {
		if system, err := os.ReadFile(file); err == nil {
			return append(append(system, '\n'), a.pem...)
		}
	}
	return a.pem
}

// TLS returns a configuration that trusts the authorities and the system's, for clients of
// other libraries. nil trusts the system's only.
func (a *Authorities) TLS() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if a != nil {
		config.RootCAs = rootsWith(a.certs)
	}
	return config
}

// hostCerts are the certificates of docker and podman for one host.
type hostCerts struct {
	authorities []*x509.Certificate
	client      []tls.Certificate
}

// Once returns a transport that sends each request once, and trusts the authorities and the
// system's; nil: the system's only. It is for clients that repeat requests themselves.
func Once(authorities *Authorities) http.RoundTripper {
	if authorities == nil {
		return http.DefaultTransport
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = authorities.TLS()
	return transport
}

// certsDirs returns the directories with a folder for each host: of podman and docker for
// the system, of podman for the user, of rootless docker, and of Docker Desktop.
// https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md
// https://docs.docker.com/engine/security/certificates/
// https://docs.docker.com/desktop/troubleshoot-and-support/faqs/linuxfaqs/
func certsDirs() []string {
	dirs := []string{"/etc/containers/certs.d", "/etc/docker/certs.d"}
	home, err := os.UserHomeDir()
	if err != nil {
		return dirs
	}
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(home, ".config")
	}
	return append(dirs, filepath.Join(home, ".config", "containers", "certs.d"), filepath.Join(config, "docker", "certs.d"),
		filepath.Join(home, ".docker", "certs.d"))
}

// hostCerts returns a host's certificates, which it reads once; nil if there are none. The
// caller holds the lock.
func (t *Transport) hostCerts(host string) (*hostCerts, error) {
	if !t.options.CertsDirs || host == "" || strings.ContainsAny(host, `/\`) {
		return nil, nil
	}
	if known, ok := t.certs[host]; ok {
		return known, nil
	}
	own := &hostCerts{}
	for _, dir := range certsDirs() {
		if err := own.read(filepath.Join(dir, host)); err != nil {
			return nil, err
		}
	}
	if len(own.authorities)+len(own.client) == 0 {
		own = nil
	}
	t.certs[host] = own
	return own, nil
}

// read adds the certificates in a folder: *.crt are authorities, *.cert with *.key are client
// certificates. It skips files that it may not read, which belong to another user.
func (h *hostCerts) read(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		file := filepath.Join(dir, entry.Name())
		switch filepath.Ext(file) {
		case ".crt":
			read, err := ReadAuthorities(file)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				continue
			}
			if err != nil {
				return err
			}
			h.authorities = append(h.authorities, read.certs...)
		case ".cert":
			pair, err := tls.LoadX509KeyPair(file, strings.TrimSuffix(file, ".cert")+".key")
			if errors.Is(err, fs.ErrPermission) {
				continue
			}
			if err != nil {
				return fmt.Errorf("reading the client certificate %s and its .key: %w", file, err)
			}
			h.client = append(h.client, pair)
		}
	}
	return nil
}

// tlsConfig trusts the authorities for a host, and the system's, which SSL_CERT_FILE and
// SSL_CERT_DIR may replace.
func (t *Transport) tlsConfig(own *hostCerts) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.options.Insecure} // the user gave --insecure
	var more []*x509.Certificate
	if t.options.Authorities != nil {
		more = append(more, t.options.Authorities.certs...)
	}
	if own != nil {
		more = append(more, own.authorities...)
		config.Certificates = own.client
	}
	config.RootCAs = rootsWith(more)
	return config
}

// rootsWith returns the system's authorities and more. Without more it is nil, which means
// the system's.
func rootsWith(more []*x509.Certificate) *x509.CertPool {
	if len(more) == 0 {
		return nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for _, certificate := range more {
		roots.AddCert(certificate)
	}
	return roots
}

// CertificateError is the reason why a server's certificate is not accepted.
type CertificateError struct {
	text string
	err  error
}

func (e *CertificateError) Error() string { return e.text }
func (e *CertificateError) Unwrap() error { return e.err }

// explain adds the reason and the fix to an error of a connection.
func (t *Transport) explain(request *http.Request, err error) error {
	host := request.URL.Host
	why := func(fix, format string, arguments ...any) error {
		return &fault.Fault{Kind: fault.Unreachable, Err: &CertificateError{fmt.Sprintf(format, arguments...), err}, Fix: fix}
	}
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return why(t.trustFix(host), "the certificate of %s is signed by %s, which is not trusted here", host, issuer(err, unknown))
	case errors.As(err, &name):
		return why("use a host name that is in the certificate", "the certificate of %s is for %s", host, names(name.Certificate))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return why("renew the certificate, or set this machine's clock", "the certificate of %s is valid from %s to %s",
			host, invalid.Cert.NotBefore.Format("2006-01-02"), invalid.Cert.NotAfter.Format("2006-01-02"))
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return why(t.trustFix(host), "the certificate of %s is not accepted: %s", host, text.Short(err.Error(), mostSaid))
	}
	return ledAstray(request, err)
}

// trustFix returns the fix for an unknown authority.
func (t *Transport) trustFix(host string) string {
	if t.options.CertsDirs {
		return "set ca in libre.yaml to the file of that authority's certificate, or put it into /etc/docker/certs.d/" + host + "/ca.crt"
	}
	return "set ca in libre.yaml to the file of that authority's certificate, or use SSL_CERT_FILE"
}

// issuer returns the issuer of the last certificate that a server sent.
func issuer(err error, unknown x509.UnknownAuthorityError) string {
	last := unknown.Cert
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) && len(verification.UnverifiedCertificates) > 0 {
		last = verification.UnverifiedCertificates[len(verification.UnverifiedCertificates)-1]
	}
	if last == nil {
		return "an authority without a name"
	}
	by := last.Issuer.CommonName
	if by == "" {
		by = last.Issuer.String()
	}
	if last.Issuer.String() == last.Subject.String() && last == unknown.Cert {
		return fmt.Sprintf("itself (%q)", text.Short(by, 100))
	}
	return fmt.Sprintf("%q", text.Short(by, 100))
}

func names(certificate *x509.Certificate) string {
	all := slices.Clone(certificate.DNSNames)
	for _, address := range certificate.IPAddresses {
		all = append(all, address.String())
	}
	if len(all) == 0 {
		all = []string{"no name (its common name does not count)"}
	}
	return text.Short(strings.Join(all, ", "), 200)
}

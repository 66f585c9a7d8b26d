package docs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

const ownForge = "git.example.org" // the name in the recipes

// TestRecipesRunAtAForgeBehindAProxy runs the recipes that need a forge, unchanged except for
// the token and the proxy's address. The forge is private, has a certificate of the test's
// authority, and can only be reached through the proxy.
func TestRecipesRunAtAForgeBehindAProxy(t *testing.T) {
	testkit.Require(t, "bash", "nix", "git", "go")
	const token = "t0ken"
	forge := forgetest.Forgejo(t)
	forge.AddToken(token, true)
	notes := forge.AddRepo("team/notes")
	notes.SetPrivate()
	program := map[string]string{"go.mod": "module git.example.org/team/notes\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() {}\n", "LICENSE": "MIT License\n"}
	notes.Tag("v1.0.0", notes.Commit(program))
	program["main.go"] += "\n// changed\n"
	next := notes.Commit(program)
	theme := forge.AddRepo("team/theme")
	moved := theme.CommitTo("next", map[string]string{"README.md": "# Red\n"})
	home := forge.AddRepo("team/catalogue")

	certificate, authority := certify(t, ownForge)
	behind := behindTLS(t, forge.URL, certificate)
	proxy := newProxy(t, map[string]string{ownForge + ":443": behind})

	dir := libre.Catalogue(t, map[string]string{"plain/default.nix": `{ mkApp, pkgs, ... }: mkApp {
  name = "plain"; version = "1"; packageVersion = 1; components.web.package = pkgs.writeText "plain" (builtins.readFile "${pkgs.theme}/README.md"); }
`}, "x86_64-linux")
	flake, err := os.ReadFile(filepath.Join(dir, "flake.nix"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(flake), "  outputs = { libre, nixpkgs, ... }: libre.lib.mkCatalogue {\n    inherit nixpkgs;\n", `  inputs.theme = { url = "git+https://`+ownForge+`/team/theme?ref=main"; flake = false; };

  outputs = { libre, nixpkgs, theme, ... }: libre.lib.mkCatalogue {
    nixpkgs.legacyPackages = builtins.mapAttrs (_: pkgs: pkgs // { inherit theme; }) nixpkgs.legacyPackages;
`, 1)
	for name, content := range map[string]string{"flake.nix": text, "our-ca.pem": string(authority)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	recipe := recipes(t)
	script := "set -euo pipefail\nunset GIT_SSL_CAINFO NIX_SSL_CERT_FILE\n" + recipe("A proxy, and your own certificate authority") + `
export GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org
libre bump --inputs --allow-local-inputs
git add --all
git commit --quiet --message "A catalogue"
git remote add origin https://` + ownForge + `/team/catalogue
git branch --move main
git config http.sslCAInfo "$PWD/our-ca.pem"
git config credential.helper '!f() { echo username=ada; echo password=` + token + `; }; f'
git push --quiet --force origin main
` + recipe("A private forge") + "\n" + recipe("Move a base image")
	script = strings.NewReplacer("FORGEJO_TOKEN=…", "FORGEJO_TOKEN="+token, "http://proxy.example:3128", proxy.url,
		"libre bump notes", "git -C "+notes.Dir+" update-ref refs/tags/v1.1.0 "+next+"\nlibre bump notes",
		"libre bump --inputs  ", "git -C "+theme.Dir+" update-ref refs/heads/main "+moved+"\nlibre bump --inputs  ",
		"libre bump --inputs --pr", "git diff --exit-code --quiet flake.lock && exit 1\ngit restore .\nlibre bump --inputs --pr").Replace(script)
	shell := exec.Command("bash", "-c", script)
	shell.Dir = dir
	shell.Env = append(libre.Command(shell.Dir).Env, "PATH="+filepath.Dir(libre.Program())+":"+os.Getenv("PATH"))
	stdout, stderr, err := testkit.Output(shell)
	if err != nil || strings.Contains(stdout+stderr, token) {
		t.Errorf("%v\n%s%s", err, stdout, stderr)
	}
	if !strings.Contains(stdout, ownForge+" accepts the token from FORGEJO_TOKEN") {
		t.Errorf("doctor does not accept the token:\n%s", stdout)
	}
	var titles []string
	for _, p := range home.Pulls() {
		titles = append(titles, p.Title)
	}
	if want := []string{"notes: 1.0.0 -> 1.1.0", "Update inputs"}; !slices.Equal(titles, want) {
		t.Errorf("pull requests %q, want %q", titles, want)
	}
	if reached := proxy.reached(); !slices.Equal(reached, []string{"CONNECT " + ownForge + ":443"}) {
		t.Errorf("the proxy was asked for %q", reached)
	}
}

// recipes returns a function that makes a script from the first blocks of a section: a
// libre.yaml, if it has one, and the commands that need a forge.
func recipes(t *testing.T) func(title string) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	all := blocks(t)
	return func(title string) string {
		before, section, found := strings.Cut(string(page), "\n## "+title+"\n")
		if !found {
			t.Fatalf("no recipe %q", title)
		}
		begins, section := strings.Count(before, "\n")+1, strings.Split(section, "\n## ")[0]
		script := ""
		for _, b := range all {
			inside := b.page == "docs/recipes.md" && b.line > begins && b.line <= begins+strings.Count(section, "\n")+1
			switch {
			case inside && b.language == "yaml":
				script += "cat > libre.yaml <<'END'\n" + b.text + "END\n"
			case inside && b.needs == "forge":
				script += b.text
			}
		}
		if script == "" {
			t.Fatalf("the recipe %q has no commands", title)
		}
		return script
	}
}

// certify makes an authority, and a certificate from it for a host.
func certify(t *testing.T, host string) (tls.Certificate, []byte) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = key
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, key
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Our authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	ofAuthority, signer := sign(authority, authority, nil)
	leaf, key := sign(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, authority, signer)
	return tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ofAuthority})
}

// behindTLS serves the answers of a server without TLS over TLS, and returns HOST:PORT.
func behindTLS(t *testing.T, to string, certificate tls.Certificate) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	front := httputil.NewSingleHostReverseProxy(target)
	front.ModifyResponse = func(r *http.Response) error { // the server's redirects go to itself
		if rest, inside := strings.CutPrefix(r.Header.Get("Location"), to); inside {
			r.Header.Set("Location", "https://"+ownForge+rest)
		}
		return nil
	}
	server := httptest.NewUnstartedServer(front)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// proxy connects to hosts that only it knows, and refuses others.
type proxy struct {
	url   string
	hosts map[string]string // HOST:PORT as clients call it → address

	mu    sync.Mutex
	asked []string
}

func newProxy(t *testing.T, hosts map[string]string) *proxy {
	t.Helper()
	p := &proxy{hosts: hosts}
	server := httptest.NewServer(http.HandlerFunc(p.connect))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// connect answers CONNECT with a tunnel.
func (p *proxy) connect(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	p.mu.Unlock()
	address, known := p.hosts[r.Host]
	if r.Method != http.MethodConnect || !known {
		http.Error(w, "this proxy does not know "+r.Host, http.StatusBadGateway)
		return
	}
	server, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	fmt.Fprint(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, buffered)
	}()
	_, _ = io.Copy(client, server)
}

// reached returns the kinds of requests, each once.
func (p *proxy) reached() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(p.asked)))
}

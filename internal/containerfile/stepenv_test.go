package containerfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
)

// getURL fetches a URL like any program in Go.
func getURL(url string) {
	response, err := http.Get(url)
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
	io.Copy(os.Stdout, response.Body)
}

// company is a server with a certificate of its own CA. It is also a proxy.
type company struct {
	authority   []byte // in PEM
	https, http string // URLs
}

func newCompany(t *testing.T) company {
	t.Helper()
	address := machineAddress(t)
	issue := func(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if parent == nil {
			parent, by = template, key
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return certificate, key
	}
	root, rootKey := issue(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "A company's own"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	leaf, leafKey := issue(&x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.ParseIP(address)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, root, rootKey)
	start := func(change func(*httptest.Server)) string {
		l, err := net.Listen("tcp", address+":0")
		if err != nil {
			t.Fatal(err)
		}
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodConnect {
				connect(w, r)
				return
			}
			fmt.Fprintf(w, "fetched %s by %s\n", r.URL.Path, r.Header.Get("Proxy-Authorization"))
		}), ErrorLog: log.New(io.Discard, "", 0)}}
		change(s)
		t.Cleanup(s.Close)
		return s.URL
	}
	return company{
		authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}),
		https: start(func(s *httptest.Server) {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: leafKey}}}
			s.StartTLS()
		}),
		http: start((*httptest.Server).Start),
	}
}

// connect handles CONNECT, for HTTPS.
func connect(w http.ResponseWriter, r *http.Request) {
	to, err := net.Dial("tcp", r.Host)
	if err != nil || r.Header.Get("Proxy-Authorization") == "" {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer to.Close()
	// Hijacked before the answer, so that the server does not read the client's data.
	from, sent, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer from.Close()
	io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
	go io.Copy(to, sent)
	io.Copy(from, to)
}

// clients returns programs of this machine with their libraries, as files of an image:
// steps run /bin/load PROGRAM.
func clients(t *testing.T, names ...string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	add := func(name, path string) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	for _, name := range names {
		testkit.Require(t, name)
		path, _ := exec.LookPath(name)
		add("bin/"+name, path)
		said, err := exec.Command("ldd", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, library := range regexp.MustCompile(`/\S+`).FindAllString(string(said), -1) {
			add("lib/"+filepath.Base(library), library)
			if strings.Contains(library, "/ld-linux") {
				add("bin/ld", library)
			}
		}
	}
	return files
}

// Steps and ADD can fetch behind a company's proxy and CA.
func TestStepsUseProxyAndCA(t *testing.T) {
	c := newCompany(t)
	files := clients(t, "curl", "wget")
	layer := catalogueLayout(t, "base", single(image(t, machinePlatform(), []string{"PATH=/bin"}, withAttacker(t, files))))
	eachUser(t, func(t *testing.T, p *place) {
		proxy := strings.Replace(c.http, "http://", "http://bot:hunter2@", 1)
		text := "FROM base\nRUN attack get=" + c.https + "/go > /out" +
			"\nRUN ld --library-path /lib /bin/curl -sSf " + c.https + "/curl >> /out" +
			"\nRUN ld --library-path /lib /bin/wget -q -O - " + c.https + "/wget >> /out" +
			"\nRUN busybox mkdir -m 1777 /tmp\nUSER 1000\nRUN attack get=" + c.https + "/user > /tmp/user" +
			"\nUSER 0\nRUN attack get=http://packages.invalid/proxied > /proxied" +
			"\nRUN busybox env && busybox ls -l /dev/shm/libre" +
			"\nADD " + c.https + "/added /added\nADD http://packages.invalid/proxied /added-proxied\n"
		base := p.dir + "/clients-" + filepath.Base(filepath.Dir(t.Name())) + filepath.Base(t.Name())
		p.run("cp", "-r", layer, base)
		p.run("chown", "-R", fmt.Sprint(p.u.uid), base)
		got, answer := p.build(text, nil, func(o *order) { o.Base, o.CA, o.Proxy = base, c.authority, proxy })
		said, _ := os.ReadFile(filepath.Join(answer.Layout, "../../log"))
		if answer.Err != "" {
			t.Fatal(answer.Err)
		}
		const login = "Basic Ym90Omh1bnRlcjI=\n"
		want := map[string]string{
			"/out": "fetched /go by \nfetched /curl by \nfetched /wget by \n", "/tmp/user": "fetched /user by \n",
			"/proxied": "fetched /proxied by " + login, "/added": "fetched /added by \n", "/added-proxied": "fetched /proxied by " + login,
		}
		for name, content := range want {
			if got[name].content != content {
				t.Errorf("%s: %q", name, got[name].content)
			}
		}
		if strings.Contains(string(said), "hunter2") || !strings.Contains(string(said), "https_proxy=***") {
			t.Errorf("log:\n%s", said)
		}
		_, without := p.build("FROM base\nRUN attack get="+c.https+"/go\n", nil, func(o *order) { o.Base = base })
		if !strings.Contains(without.Err, "certificate signed by unknown authority") {
			t.Errorf("without build.ca: %s", without.Err)
		}
	})
}

// withAttacker adds the files of attackersBase.
func withAttacker(t *testing.T, files map[string][]byte) map[string][]byte {
	t.Helper()
	all := maps.Clone(files)
	for name, path := range map[string]string{"bin/attack": os.Args[0], "bin/busybox": lookPath("busybox"), "bin/sh": lookPath("busybox")} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = content
	}
	all["etc/passwd"] = []byte("root:x:0:0::/:/bin/sh\n")
	return all
}

// If its steps do not depend on them, an image is the same with and without a proxy, CAs and
// secrets: no layer, history or label contains them.
func TestProxyAndCALeaveNoTrace(t *testing.T) {
	c := newCompany(t)
	eachUser(t, func(t *testing.T, p *place) {
		for name, text := range map[string]string{
			"plain":    "FROM base\nARG A=b\nRUN busybox mkdir -p /d && busybox ls -R /dev/shm /dev/null > /dev/null; echo x > /d/x\nLABEL a=b\n",
			"declared": "FROM base AS one\nARG HTTP_PROXY\nARG https_proxy SSL_CERT_FILE\nARG LIBRE_STEP_VARIABLES\nRUN echo \"$LIBRE_STEP_VARIABLES\" > /x\nFROM one\nARG A=c http_proxy\nRUN [\"busybox\", \"touch\", \"/y\"]\nENV X=$HTTP_PROXY\n",
			"its own":  "FROM base\nENV SSL_CERT_FILE=/own.pem HTTP_PROXY=http://own.example A=\"x \\\"y\\\" ]\"\nARG Q='\"env\":['\nRUN echo $SSL_CERT_FILE $HTTP_PROXY $A \"$Q\" '\"env\":[' > /x\nRUN [\"sh\", \"-c\", \"NO_PROXY=x busybox env | busybox grep -v -e _proxy -e _PROXY -e CA -e CERT -e RC -e APT -e HOSTNAME | busybox sort > /e\"]\n",
		} {
			_, without := p.build(text, nil, func(*order) {})
			files, with := p.build(text, nil, func(o *order) { o.CA, o.Proxy = c.authority, "http://bot:hunter2@proxy.example:3128" })
			if without.Err != "" || with.Err != "" {
				t.Fatal(without.Err, with.Err)
			}
			if diff := cmp.Diff(content(t, without.Layout), content(t, with.Layout)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if name == "its own" && files["/x"].content != "/own.pem http://own.example x \"y\" ] \"env\":[ \"env\":[\n" {
				t.Errorf("%q", files["/x"].content)
			}
			if found, _ := exec.Command("grep", "-rlE", "--", "proxy.example|hunter2|/dev/shm/libre", filepath.Dir(with.Layout)+"/layout/index.json", filepath.Dir(with.Layout)+"/layout/blobs").Output(); len(found) > 0 && !attackersLayer(string(found)) {
				t.Errorf("%s: it is in %s", name, found)
			}
		}
	})
}

// attackersLayer reports whether a file is the layer with the attacker's program.
func attackersLayer(found string) bool {
	for path := range strings.Lines(found) {
		if info, err := os.Stat(strings.TrimSpace(path)); err != nil || info.Size() < 1<<20 {
			return false
		}
	}
	return true
}

// content returns an image without the engines' notes about their storage.
func content(t *testing.T, layout string) string {
	t.Helper()
	img, cf := built(t, Result{Layout: layout})
	cf = cf.DeepCopy()
	for i := range cf.History {
		cf.History[i].Comment = ""
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	said, err := json.MarshalIndent([]any{cf, slices.Collect(layersOf(m))}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

func layersOf(m *v1.Manifest) func(func(v1.Hash) bool) {
	return func(yield func(v1.Hash) bool) {
		for _, l := range m.Layers {
			if !yield(l.Digest) {
				return
			}
		}
	}
}

// Docker's daemon also builds the same image with and without a proxy, which its steps get.
// With docker, build.ca is an error.
func TestDockerStepsUseProxy(t *testing.T) {
	testkit.Docker(t, true)
	e, err := Detect(t.Context(), Choice{Name: "docker"})
	if err != nil {
		t.Fatal(err)
	}
	stepsUseProxy(t, e)
}

// stepsUseProxy builds with a proxy, which leaves no trace, and with authorities.
func stepsUseProxy(t *testing.T, e Engine) {
	base := attackersBase(t)
	build := func(text, proxy string, ca []byte) (Result, Request, error) {
		req := request(t, write(t, map[string]string{"Containerfile": text}), map[string]Origin{"base": {Layout: base}})
		req.Proxy, req.CA, req.NoCache = proxy, ca, true
		res, err := NewBuilder(e, "").Build(t.Context(), req)
		return res, req, err
	}
	const proxy = "http://bot:hunter2@proxy.example:3128"
	res, req, err := build("FROM base\nRUN busybox env; echo $https_proxy > /out\n", proxy, nil)
	if err != nil {
		t.Fatal(describe(err))
	}
	img, _ := built(t, res)
	if said := filesOf(t, img)["/out"].content; said != proxy+"\n" {
		t.Errorf("the step has %q", said)
	}
	if said, _ := os.ReadFile(req.Log); strings.Contains(string(said), "hunter2") {
		t.Errorf("log:\n%s", said)
	}
	for _, text := range []string{
		"FROM base\nRUN echo x > /x\n",
		"FROM base AS one\nARG HTTP_PROXY\nRUN echo x > /x\nFROM one\nARG A=\"b c\" http_proxy \\\n  https_proxy\nRUN echo $A > /y\nENV X=$HTTP_PROXY\n",
		"FROM base\nARG http_proxy=http://own.example\nARG NO_PROXY HTTPS_PROXY\nRUN echo x > /x\n",
	} {
		without, _, err := build(text, "", nil)
		if err != nil {
			t.Fatal(describe(err))
		}
		with, _, err := build(text, proxy, nil)
		if err != nil {
			t.Fatal(describe(err))
		}
		if diff := cmp.Diff(content(t, without.Layout), content(t, with.Layout)); diff != "" {
			t.Error(diff)
		}
	}
	if _, _, err := build("FROM base\nRUN true\n", "", newCompany(t).authority); err == nil || !strings.Contains(err.Error(), "build.ca works only with buildah and podman") || !strings.Contains(fault.Fix(err), "engine: buildah") {
		t.Errorf("build.ca: %v", err)
	}
}

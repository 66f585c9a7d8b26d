package registry

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/web"
)

// tokenServer starts a server that issues a token for the right password only.
func tokenServer(t *testing.T) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "p" || r.FormValue("service") != "registry" || r.FormValue("kept") != "yes" {
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`, http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"token":"secret-token"}`)
	}))
	t.Cleanup(server.Close)
	return server
}

// withToken returns a registry that requires the token and names a realm.
func withToken(inner http.Handler, realm string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret-token" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="registry",scope="repository:lasuite/docs-backend-default:pull,push"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func TestPrivateRegistryNamesATokenServerAtAnotherPrivateAddress(t *testing.T) {
	home := homeless(t)
	tokens := tokenServer(t)
	for _, realm := range []string{tokens.URL + "/token?kept=yes", strings.Replace(tokens.URL, "127.0.0.1", "localhost", 1) + "/token?kept=yes", "//" + strings.TrimPrefix(tokens.URL, "http://") + "/?kept=yes"} {
		registry := record(t, withToken(handlerOf(t, "referrers"), realm))
		writeAuths(t, filepath.Join(home, ".docker/config.json"), login(registry.host, "publisher", "p"))
		dir, digest, _ := oneImage(t, 1000)
		client := registry.client(t)
		pushed, err := client.PushIndex(t.Context(), dir, digest, imageRef)
		if err == nil {
			err = client.SetTag(t.Context(), imageRef, pushed)
		}
		if err != nil {
			t.Errorf("%s: %v", realm, err)
		}
	}
}

func TestRefusedTokenServers(t *testing.T) {
	home := homeless(t)
	plain := tokenServer(t)
	registry := httptest.NewTLSServer(withToken(handlerOf(t, "referrers"), plain.URL+"/token?kept=yes"))
	t.Cleanup(registry.Close)
	host := strings.TrimPrefix(registry.URL, "https://")
	writeAuths(t, filepath.Join(home, ".docker/config.json"), login(host, "publisher", "p"))
	client, err := NewClient(host+"/lasuite", Options{Authorities: authoritiesOf(t, registry)})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.CheckPush(t.Context(), noteRef); err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("a password would be sent in the clear: %v", err)
	}
}

func authoritiesOf(t *testing.T, server *httptest.Server) *web.Authorities {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	putFile(t, file, certificateOf(server), 0o600)
	read, err := web.ReadAuthorities(file)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func certificateOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// A registry on the loopback address is tried with TLS first. If an unknown authority signed
// its certificate, the error says so, and does not mention the error of plain HTTP.
func TestPrivateAuthorities(t *testing.T) {
	home := homeless(t)
	registry := httptest.NewTLSServer(handlerOf(t, "referrers"))
	t.Cleanup(registry.Close)
	host := strings.TrimPrefix(registry.URL, "https://")
	try := func(options Options) error {
		client, err := NewClient(host+"/lasuite", options)
		if err != nil {
			t.Fatal(err)
		}
		return client.CheckPush(t.Context(), noteRef)
	}
	err := try(Options{})
	if !fault.Is(err, fault.Unreachable) || !strings.Contains(err.Error(), "is not trusted here") || strings.Contains(strings.ReplaceAll(err.Error(), host, ""), "400") {
		t.Errorf("an unknown authority: %v", err)
	}
	if fix := fault.Fix(err); !strings.Contains(fix, "set ca in libre.yaml") || !strings.Contains(fix, "/etc/docker/certs.d/"+host) {
		t.Errorf("fix %q", fix)
	}
	if err := try(Options{Authorities: authoritiesOf(t, registry)}); err != nil {
		t.Errorf("with ca: %v", err)
	}
	if err := try(Options{Insecure: true}); err != nil {
		t.Errorf("with --insecure: %v", err)
	}
	for _, dir := range []string{".config/containers/certs.d", ".config/docker/certs.d", ".docker/certs.d"} {
		file := filepath.Join(home, dir, host, "any.crt")
		putFile(t, file, certificateOf(registry), 0o644)
		if err := try(Options{}); err != nil {
			t.Errorf("with %s: %v", dir, err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	putFile(t, filepath.Join(home, ".docker/certs.d", host, "ca.crt"), "no certificate", 0o644)
	if err := try(Options{}); err == nil || !strings.Contains(err.Error(), "ca.crt") {
		t.Errorf("a file of no certificates: %v", err)
	}
}

func TestRefusalsRepeatWhatTheRegistrySays(t *testing.T) {
	for _, test := range []struct {
		status      int
		body        string
		want        string // in the error
		credentials bool
		fix         string // start of the fix
	}{
		{401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, "401 Unauthorized: UNAUTHORIZED: authentication required", true, "log in with: libre login 127.0.0.1:"},
		{403, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`, "DENIED: requested access", true, "log in with: libre login 127.0.0.1:"},
		{403, ``, "403 Forbidden", true, "log in with: libre login 127.0.0.1:"},
		{403, `{"errors":[{"code":"DENIED","message":"quota exceeded"}]}`, "DENIED: quota exceeded", false, ""},
		{403, `{"errors":[{"code":"DENIED","message":"storage limit of this project is reached"}]}`, "storage limit", false, ""},
		{403, `<html><body>Your IP is not on the allow list</body></html>`, "Your IP is not on the allow list", false, ""},
		{403, `{"errors":[{"code":"DENIED","message":"blocked by the policy: 3 vulnerabilities"}]}`, "blocked by the policy", false, ""},
		{404, `{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'lasuite/x' does not exist in the registry with id '1'"}]}`, "not found (NAME_UNKNOWN: The repository with name 'lasuite/x' does not exist", false, ""},
		{404, `{"errors":[{"code":"NAME_INVALID","message":"no"},{"code":"PROJECT_UNKNOWN","message":"project lasuite not found"}]}`, "NAME_INVALID: no; PROJECT_UNKNOWN: project lasuite not found", false, ""},
		{400, `{"errors":[{"code":"TAG_INVALID","message":"The image tag '1' already exists and cannot be overwritten because the repository is immutable."}]}`, "is immutable", false, "raise the package version (libre bump --repack), or allow overwriting tags"},
		{403, `{"errors":[{"code":"DENIED","message":"tag is immutable"}]}`, "tag is immutable", false, "raise the package version (libre bump --repack), or allow overwriting tags"},
		{405, `{"errors":[{"code":"UNSUPPORTED","message":"cannot overwrite tag 1"}]}`, "cannot overwrite tag", false, "raise the package version (libre bump --repack), or allow overwriting tags"},
		{409, `{"errors":[{"code":"CONFLICT","message":"manifest already exists for this tag"}]}`, "already exists", false, "raise the package version (libre bump --repack), or allow overwriting tags"},
		{412, `{"errors":[{"code":"PRECONDITION","message":"configured as immutable, cannot be updated"}]}`, "configured as immutable", false, "raise the package version (libre bump --repack), or allow overwriting tags"},
		{403, `{"errors":[{"code":"DENIED","message":"User: arn:aws:iam::1:user/ci is not authorized to perform: ecr:PutImage because no identity-based policy allows the action"}]}`, "is not authorized to perform", true, "log in with: libre login 127.0.0.1:"},
		{405, `{"errors":[{"code":"UNSUPPORTED","message":"The operation is disallowed on this registry, repository or image. View troubleshooting steps at https://aka.ms/acr/faq"}]}`, "is disallowed on this registry", false, "raise the package version (libre bump --repack), or allow overwriting tags"},
		{400, `{"errors":[{"code":"UNKNOWN","message":"Repository does not allow updating assets: docker"}]}`, "not allow updating", false, "raise the package version (libre bump --repack), or allow overwriting tags"},
		{400, `{"errors":[{"code":"MANIFEST_INVALID","message":"cannot update tag 9-1"}]}`, "cannot update tag", false, "raise the package version (libre bump --repack), or allow overwriting tags"},
		{405, `{"errors":[{"code":"UNSUPPORTED","message":"method not allowed"}]}`, "405 Method Not Allowed", false, ""},
		{409, ``, "409 Conflict", false, "raise the package version (libre bump --repack), or allow overwriting tags"},
		{422, "plain\n text\x1b[31m", "422 Unprocessable Entity: plain text", false, ""},
	} {
		registry := record(t, handlerOf(t, "referrers"))
		client := registry.client(t)
		dir, digest, _ := oneImage(t, 1000)
		pushed, err := client.PushIndex(t.Context(), dir, digest, imageRef)
		if err != nil {
			t.Fatal(err)
		}
		registry.meddle = func(_ int, what string, w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(what, "PUT manifests") {
				return false
			}
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
			return true
		}
		err = client.SetTag(t.Context(), catalog.ParseRef("docs-backend-default:9-1"), pushed)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%d: %v, want %q", test.status, err, test.want)
		}
		if fault.Is(err, fault.Credentials) != test.credentials || !strings.HasPrefix(fault.Fix(err), test.fix) || test.fix == "" && fault.Fix(err) != "" {
			t.Errorf("%d: credentials %v, fix %q in %v", test.status, fault.Is(err, fault.Credentials), fault.Fix(err), err)
		}
		if strings.Contains(err.Error(), "REGISTRY") {
			t.Errorf("%d: %v", test.status, err)
		}
	}
}

func TestRefusalOfALoginNamesItsUser(t *testing.T) {
	home := homeless(t)
	for _, test := range []struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   string
	}{
		{func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) }, "the login of publisher may not push there: ask for that right, or log in with: libre login 127.0.0.1:"},
		{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, "the login of publisher is refused, log in with: libre login 127.0.0.1:"},
	} {
		registry := record(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			test.answer(w, r)
		}))
		writeAuths(t, filepath.Join(home, ".docker/config.json"), login(registry.host, "publisher", "hunter2"))
		err := registry.client(t).CheckPush(t.Context(), noteRef)
		if !fault.Is(err, fault.Credentials) || !strings.HasPrefix(fault.Fix(err), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

// If an upload continues at another name of the registry, that name gets no login. The
// error says so and does not blame the login.
func TestUploadUnderAnotherNameSeesNoLogin(t *testing.T) {
	home := homeless(t)
	var host string
	registry := record(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, _, _ := r.BasicAuth(); r.Host != host && user != "" {
			t.Errorf("%s got a login", r.Host)
		} else if user == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Location", "http://"+strings.Replace(host, "127.0.0.1", "localhost", 1)+r.URL.Path+"1")
		w.WriteHeader(http.StatusAccepted)
	}))
	host = registry.host
	writeAuths(t, filepath.Join(home, ".docker/config.json"), login(host, "publisher", "p"))
	_, err := registry.client(t).PushArtifact(t.Context(), noteRef, note)
	if !fault.Is(err, fault.Credentials) || !strings.HasPrefix(fault.Fix(err), host+" redirects to localhost:") {
		t.Errorf("%v", err)
	}
}

// A relative redirect of a token server leads to the token server, not to the registry. A
// redirect to another host sends no password.
func TestTokenServerRedirects(t *testing.T) {
	home := homeless(t)
	tokens := tokenServer(t)
	var stolen string
	for _, location := range []string{"/there?kept=yes&service=registry", tokens.URL + "/there?kept=yes&service=registry"} {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/there" {
				if _, password, _ := r.BasicAuth(); password == "p" {
					fmt.Fprint(w, `{"token":"secret-token"}`)
				}
				return
			}
			http.Redirect(w, r, location, http.StatusTemporaryRedirect)
		}))
		t.Cleanup(front.Close)
		registry := record(t, withToken(handlerOf(t, "referrers"), front.URL+"/token"))
		writeAuths(t, filepath.Join(home, ".docker/config.json"), login(registry.host, "publisher", "p"))
		if err := registry.client(t).CheckPush(t.Context(), noteRef); err != nil {
			t.Errorf("%s: %v", location, err)
		}
	}
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { stolen += r.Header.Get("Authorization") }))
	t.Cleanup(thief.Close)
	front := httptest.NewServer(http.RedirectHandler(strings.Replace(thief.URL, "127.0.0.1", "localhost", 1), http.StatusTemporaryRedirect))
	t.Cleanup(front.Close)
	registry := record(t, withToken(handlerOf(t, "referrers"), front.URL+"/token"))
	writeAuths(t, filepath.Join(home, ".docker/config.json"), login(registry.host, "publisher", "p"))
	if err := registry.client(t).CheckPush(t.Context(), noteRef); err == nil || stolen != "" {
		t.Errorf("%v, the redirect got %q", err, stolen)
	}
}

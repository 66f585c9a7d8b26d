package build

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/libresh/libre/internal/pgtest"
	"github.com/libresh/libre/internal/testkit"
)

const (
	defaultBrand, lyonBrand = "Guestbook", "Livre d'or de Lyon"
	defaultColor, lyonColor = "#2f5d8a", "#a8202e"
)

// PocketBase's image starts without options, and writes to its volume as its own user.
func TestPocketBaseStartsAndWritesToItsVolume(t *testing.T) {
	t.Parallel()
	c := demo(t)
	k := runContainer(t, c, "pocketbase-server-default:0.36.8-1", changes{})
	var health struct{ Code int }
	err := testkit.Eventually(func() error {
		if err := k.Running(); err != nil {
			return err
		}
		status, body, err := get(k.client(), "http://127.0.0.1:8090/api/health")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("/api/health: %d %s", status, body)
		}
		if err == nil {
			err = json.Unmarshal([]byte(body), &health)
		}
		return err
	})
	if err != nil || health.Code != http.StatusOK {
		t.Fatalf("health %+v, %v", health, err)
	}
	for name, want := range map[string]string{"Uid": "1000 1000 1000 1000", "Gid": "1000 1000 1000 1000", "CapEff": "0000000000000000"} {
		if got := k.status(t, name); got != want {
			t.Errorf("%s %s, want %s", name, got, want)
		}
	}
	info, err := os.Stat(filepath.Join(k.root, "data/data.db"))
	if err != nil {
		t.Fatalf("the volume: %v", err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 1000 {
		t.Errorf("the database belongs to %d, want 1000", uid)
	}
	k.stop(t)
}

// Guestbook's two images run with a real PostgreSQL, each variant with its brand, on
// read-only root file systems.
func TestGuestbookRunsWithReadOnlyRoots(t *testing.T) {
	t.Parallel()
	c := demo(t)
	testkit.RequireRoot(t)
	testkit.Require(t, "runc")
	server := pgtest.Start(t)
	for _, v := range []struct{ variant, brand, color, foreign string }{
		{"default", defaultBrand, defaultColor, lyonBrand},
		{"lyon", lyonBrand, lyonColor, defaultColor},
	} {
		t.Run(v.variant, func(t *testing.T) {
			database := "DATABASE_URL=" + pgtest.CreateDatabase(t, server, v.variant)
			backend := "guestbook-backend-" + v.variant + ":1.0.0-1"
			migrate := runContainer(t, c, backend, changes{
				command: []string{"migrate"}, env: []string{database}, hostNetwork: true, readOnly: true,
			})
			if log := migrate.wait(t); !strings.Contains(log, "the database is at schema version") {
				t.Errorf("migrate printed:\n%s", log)
			}
			api := runContainer(t, c, backend, changes{
				env: []string{database, "PORT=0"}, hostNetwork: true, readOnly: true,
			})
			apiURL := api.listening(t)
			front := runContainer(t, c, "guestbook-frontend-"+v.variant+":1.0.0-1", changes{
				env: []string{"BACKEND_URL=" + apiURL, "PORT=0"}, hostNetwork: true, readOnly: true,
			})
			url := front.listening(t)
			for _, k := range []*container{api, front} {
				if uid := k.status(t, "Uid"); uid != "1000 1000 1000 1000" {
					t.Errorf("user %s, want 1000", uid)
				}
			}

			page := mustGet(t, url+"/")
			if !strings.Contains(page, "<h1>"+v.brand+"</h1>") || strings.Contains(page, v.foreign) {
				t.Errorf("the page lacks its brand %q, or has another one:\n%s", v.brand, page)
			}
			if theme := mustGet(t, url+"/theme.css"); !strings.Contains(theme, v.color) {
				t.Errorf("the theme lacks the colour %s:\n%s", v.color, theme)
			}
			if got := mustGet(t, url+"/version.txt"); got != "1.0.0\n" {
				t.Errorf("the Containerfile's argument: version.txt has %q", got)
			}
			var brand struct{ Name, Color string }
			if err := json.Unmarshal([]byte(mustGet(t, url+"/api/brand")), &brand); err != nil || brand.Name != v.brand || brand.Color != v.color {
				t.Errorf("/api/brand: %+v, %v", brand, err)
			}

			entry := `{"name":"Louise Labé","message":"Bonjour, ` + v.variant + `"}`
			response, err := http.Post(url+"/api/entries", "application/json", strings.NewReader(entry))
			if status, body, err := read(response, err); err != nil || status != http.StatusCreated {
				t.Fatalf("posting through the frontend: %d %s, %v", status, body, err)
			}
			var list struct {
				Entries []struct{ Name, Message string }
			}
			if err := json.Unmarshal([]byte(mustGet(t, apiURL+"/api/entries")), &list); err != nil || len(list.Entries) != 1 {
				t.Fatalf("entries: %+v, %v", list, err)
			}
			if got := list.Entries[0]; got.Name != "Louise Labé" || got.Message != "Bonjour, "+v.variant {
				t.Errorf("entry %+v", got)
			}
			front.stop(t)
			api.stop(t)
		})
	}
}

// Every image has these files, whoever assembled it.
func TestEveryImageHasTheBaseFiles(t *testing.T) {
	t.Parallel()
	c := demo(t)
	for _, reference := range references(t, c.dist()) {
		t.Run(reference, func(t *testing.T) {
			img := openImage(t, c.dist(), reference, "linux/"+runtime.GOARCH)
			config, files := configOf(t, img), readTree(t, img)
			if uid, _ := numericUser(t, config.Config.User); uid == 0 {
				t.Error("runs as root")
			}
			if tmp := files["/tmp"]; tmp == nil || tmp.Typeflag != tar.TypeDir || tmp.Mode&0o7777 != 0o1777 || tmp.Uid != 0 {
				t.Errorf("/tmp: %+v", tmp)
			}
			for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/nsswitch.conf"} {
				if file := files[name]; file == nil || file.Typeflag != tar.TypeReg || file.Mode&0o7777 != 0o644 {
					t.Errorf("%s is no regular file of mode 0644: %+v", name, file)
				}
			}
			if passwd := files.text(t, "/etc/passwd"); !strings.Contains(passwd, "\napp:x:1000:1000:") {
				t.Errorf("/etc/passwd lacks the user:\n%s", passwd)
			}
			bundle := environment(config, "SSL_CERT_FILE")
			if count := certificates([]byte(files.text(t, bundle))); count < 20 {
				t.Errorf("SSL_CERT_FILE=%s has %d certificates", bundle, count)
			}
		})
	}
}

// certificates returns the number of valid certificates in a bundle.
func certificates(bundle []byte) int {
	count := 0
	for {
		block, rest := pem.Decode(bundle)
		if block == nil {
			return count
		}
		if _, err := x509.ParseCertificate(block.Bytes); err == nil {
			count++
		}
		bundle = bytes.TrimSpace(rest)
	}
}

func mustGet(t *testing.T, url string) string {
	t.Helper()
	status, body, err := get(http.DefaultClient, url)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s, %v", url, status, body, err)
	}
	return body
}

func get(client *http.Client, url string) (status int, body string, err error) {
	response, err := client.Get(url)
	return read(response, err)
}

func read(response *http.Response, err error) (int, string, error) {
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

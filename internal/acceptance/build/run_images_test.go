package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// importStandins imports images into podman's storage, with testdata/standin instead of MinIO
// and Dex.
func importStandins(t *testing.T, minio, dex string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "standin")
	if out, err := exec.Command("go", "build", "-o", program, "testdata/standin/main.go").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	err = errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}), w.WriteHeader(&tar.Header{Name: "bin/minio", Mode: 0o755, Size: int64(len(content))}))
	if err == nil {
		_, err = w.Write(content)
	}
	for _, name := range []string{"mc", "sh", "dex", "wget"} {
		err = errors.Join(err, w.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: "bin/" + name, Linkname: "bin/minio", Mode: 0o755}))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	for image, change := range map[string]string{minio: `ENTRYPOINT ["/bin/minio"]`, dex: "USER 1001"} {
		cmd := exec.Command("podman", "import", "--quiet", "--change", change, "-", image)
		cmd.Stdin = bytes.NewReader(files.Bytes())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// Servers from images have the same addresses as libre's own. Browsers and the app use one
// address for the provider. Browsers, the app and a route use the bucket.
func TestRunAppWithServersFromImages(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.Require(t, "nix", "git", "go", "busybox", "podman")
	c := album(t)
	runs["podman"](t)
	const minio, dex = "localhost/standin-minio:1", "localhost/standin-dex:1"
	importStandins(t, minio, dex)
	writeFile(t, filepath.Join(c.dir, "libre.yaml"), "run: {needs: {bucket: "+minio+", oidc: "+dex+"}}\n")
	state := stateHome(t)
	app := startApp(t, c, state, "album", "--engine", "podman")
	client := browser(t)
	if status, page := send(t, client, http.MethodGet, app.url+"/login", ""); status != http.StatusOK || page != "user: from-an-image@example.org\n" {
		t.Fatalf("after the login: %d\n%s\n%s", status, page, app.Log)
	}
	if status, text := send(t, client, http.MethodPost, app.url+"/upload?key=one", "the first photo"); status != http.StatusOK {
		t.Errorf("an upload through the app: %d %s", status, text)
	}
	_, address := send(t, client, http.MethodGet, app.url+"/upload?key=two", "")
	request, err := http.NewRequest(http.MethodPut, address, bytes.NewReader([]byte("the second photo")))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if status, text, err := read(response, err); err != nil || status != http.StatusOK || response.Header.Get("X-Asked") != request.URL.Host {
		t.Errorf("an upload to %s: %d %s, %v", address, status, text, err)
	}
	for key, want := range map[string]string{"one": "the first photo", "two": "the second photo"} {
		if status, text := send(t, client, http.MethodGet, app.url+"/photos/"+key, ""); status != http.StatusOK || text != want {
			t.Errorf("photo %s: %d %s", key, status, text)
		}
	}
	app.end(t)
	nothingLeft(t, state)
}

package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/testkit"
)

// s3 is a bucket's server, and AWS's own client, which speaks to it through a port.
type s3 struct {
	t       *testing.T
	server  *Server
	address string
	keys    []string // the client's environment
}

func openBucket(t *testing.T, o Options) *s3 {
	t.Helper()
	o.Secret = func(part string) string { return "THE" + strings.ToUpper(part) }
	server, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", filepath.Join(o.Sockets, server.Socket))
			if err != nil {
				from.Close()
				continue
			}
			go func() { _, _ = io.Copy(to, from); to.Close() }()
			go func() { _, _ = io.Copy(from, to); from.Close() }()
		}
	}()
	t.Cleanup(func() { listener.Close(); server.Close() })
	return &s3{t, server, "http://" + listener.Addr().String(), []string{
		"AWS_ACCESS_KEY_ID=" + server.Parts["accessKey"], "AWS_SECRET_ACCESS_KEY=" + server.Parts["secretKey"], "AWS_DEFAULT_REGION=" + server.Parts["region"],
		"AWS_EC2_METADATA_DISABLED=true", "HOME=/nonexistent",
	}}
}

func (s *s3) try(args ...string) (string, error) {
	cmd := exec.Command("aws", append([]string{"--endpoint-url", s.address, "--output", "json"}, args...)...)
	cmd.Env = append(os.Environ(), s.keys...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("aws %s: %w\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out), err
}

func (s *s3) do(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func fileWith(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// AWS's client puts and gets objects, in one piece and in parts, with versions; what is kept is
// there again for the next server.
func TestBucket(t *testing.T) {
	testkit.Require(t, "aws")
	o, _ := options(t, describe.Need{Kind: "bucket", Versioning: true})
	s := openBucket(t, o)
	large := bytes.Repeat([]byte("0123456789abcdef"), 10<<16) // 10 MiB: two parts
	s.do("s3", "cp", fileWith(t, large), "s3://files/large")
	const key = "é + %&?/x"
	for _, text := range []string{"first", "second"} {
		s.do("s3api", "put-object", "--bucket", "files", "--key", key, "--body", fileWith(t, []byte(text)), "--content-type", "text/x-test", "--metadata", "who=louise")
	}
	s.do("s3", "rm", "s3://files/"+key)
	s.server.Close()

	s = openBucket(t, o)
	back := filepath.Join(t.TempDir(), "back")
	s.do("s3", "cp", "s3://files/large", back)
	if content, err := os.ReadFile(back); err != nil || !bytes.Equal(content, large) {
		t.Errorf("%d bytes came back, %v", len(content), err)
	}
	if list := s.do("s3", "ls", "--recursive", "s3://files/"); strings.Contains(list, "x") || !strings.Contains(list, "10485760 large\n") {
		t.Errorf("the list:\n%s", list)
	}
	var list struct {
		Versions, DeleteMarkers []struct {
			Key, VersionId string
			IsLatest       bool
		}
	}
	if err := json.Unmarshal([]byte(s.do("s3api", "list-object-versions", "--bucket", "files", "--page-size", "1")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Versions) != 3 || len(list.DeleteMarkers) != 1 || list.DeleteMarkers[0].Key != key || !list.DeleteMarkers[0].IsLatest {
		t.Fatalf("the versions: %+v", list)
	}
	var object struct {
		ContentType string
		Metadata    map[string]string
	}
	out := s.do("s3api", "get-object", "--bucket", "files", "--key", key, "--version-id", list.Versions[2].VersionId, "--range", "bytes=1-3", back)
	if err := json.Unmarshal([]byte(out), &object); err != nil || object.ContentType != "text/x-test" || object.Metadata["who"] != "louise" {
		t.Errorf("%s, %v", out, err)
	}
	if content, _ := os.ReadFile(back); string(content) != "irs" {
		t.Errorf("a part of the first version: %q", content)
	}
}

// A URL that was signed gives one object for a time. Without a signature, with another's, and
// with a URL for something else, nothing is given.
func TestBucketRefusesWhoHasNotSigned(t *testing.T) {
	testkit.Require(t, "aws")
	o, _ := options(t, describe.Need{Kind: "bucket"})
	s := openBucket(t, o)
	s.do("s3api", "put-object", "--bucket", "files", "--key", "page", "--body", fileWith(t, []byte("Bonjour")))
	signed := strings.TrimSpace(s.do("s3", "presign", "s3://files/page", "--expires-in", "60"))
	for url, want := range map[string]int{
		signed:                           http.StatusOK,
		s.address + "/files/page":        http.StatusForbidden,
		s.address + "/files?list-type=2": http.StatusForbidden,
		s.address + "/":                  http.StatusForbidden,
		strings.Replace(signed, "/page", "/own", 1):              http.StatusForbidden,
		strings.Replace(signed, "Expires=60", "Expires=6000", 1): http.StatusForbidden,
	} {
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != want || want == http.StatusOK && string(body) != "Bonjour" {
			t.Errorf("%s: %s %s", url, response.Status, body)
		}
	}
	s.keys[1] = "AWS_SECRET_ACCESS_KEY=another"
	if _, err := s.try("s3", "ls", "s3://files/"); err == nil {
		t.Error("another secret lists the objects")
	}
}

package publish

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libresh/libre/internal/sign"
)

// No output, log, argument list, attestation or image contains a secret from any place from
// which libre reads secrets.
func TestSecretsAreInNoOutput(t *testing.T) {
	c := shared(t).copy(t)
	c.alone = true
	secrets := map[string]string{
		"the key's password":      "key-password-5d1f",
		"the registry's password": "registry-password-77ac",
		"the git remote's token":  "git-token-91be",
	}
	c.env = append(c.env, "COSIGN_PASSWORD="+secrets["the key's password"])
	base := filepath.Join(t.TempDir(), "secret")
	c.run("keygen", "--output", base).want(t, 0)
	key, err := os.ReadFile(base + ".key")
	if err != nil {
		t.Fatal(err)
	}
	secrets["the key"] = strings.Split(string(key), "\n")[3]
	c.env = append(c.env, "SIGNING_KEY="+string(key))
	libre.Tool(t, "git", "-C", c.dir, "remote", "add", "origin", "https://someone:"+secrets["the git remote's token"]+"@git.example/catalogue.git")

	reg := newWatched(t, "no referrers", "") // another key than the other tests
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte("publisher:"+secrets["the registry's password"]))
	secrets["the registry's login"] = strings.TrimPrefix(login, "Basic ")
	config := t.TempDir()
	writeJSON(t, filepath.Join(config, "config.json"), map[string]any{"auths": map[string]any{reg.host: map[string]string{"auth": secrets["the registry's login"]}}})
	c.env = append(c.env, "DOCKER_CONFIG="+config)

	found := &searched{t: t, secrets: secrets}
	stop := found.watchProcesses()
	var spoil fault
	reg.setMeddle(func(w http.ResponseWriter, r *http.Request, forward http.HandlerFunc) bool {
		if r.Header.Get("Authorization") != login {
			answer(401, "WWW-Authenticate", `Basic realm="here"`)(w, r, forward)
			return true
		}
		if spoil != nil && operation(r) == "write a tag" {
			spoil(w, r, forward)
			return true
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		found.search("what is sent to "+r.URL.Path, body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		return false
	})
	output := func(o outcome) outcome {
		found.search("stdout of libre "+strings.Join(o.args, " "), []byte(o.stdout))
		found.search("stderr of libre "+strings.Join(o.args, " "), []byte(o.stderr))
		return o
	}
	signed := []string{"--to", reg.prefix(), "--key", "env://SIGNING_KEY"}
	for _, code := range []int{401, 403, 413} {
		spoil = answer(code) // the answer repeats the login
		output(c.run(append([]string{"push", two}, signed...)...))
	}
	spoil = nil
	output(c.run(append([]string{"push", two}, signed...)...)).want(t, 0)
	output(c.run(append([]string{"push", defaults, "--log-format", "json"}, signed...)...)).want(t, 0)
	output(c.run("status", "--all", "--deep", "--to", reg.prefix(), "--key", base+".pub")).want(t, 0)
	output(c.run("verify", defaults, "--to", reg.prefix(), "--key", base+".pub")).want(t, 0)

	wrong := c
	wrong.env = append(wrong.env, "COSIGN_PASSWORD=wrong-"+secrets["the key's password"])
	output(wrong.run(append([]string{"push", two, "--force"}, signed...)...)).want(t, 4)
	writeJSON(t, filepath.Join(config, "config.json"), map[string]any{})
	refused := output(c.run(append([]string{"push", two}, signed...)...)).want(t, 4)
	if !strings.Contains(refused.stderr, "log in with") {
		t.Errorf("without a login:\n%s", refused.stderr)
	}
	stop()
	if found.processes == 0 {
		t.Error("no process was seen")
	}
	// Search logs, all other files that libre keeps, and the images.
	for _, dir := range []string{filepath.Join(libre.CacheHome(), "libre"), filepath.Join(c.dir, "dist")} {
		found.files(dir)
	}
}

// A searched is a search for secrets.
type searched struct {
	t         *testing.T
	secrets   map[string]string
	processes int
}

var encoded = regexp.MustCompile(`[A-Za-z0-9+/]{40,}={0,2}`)

// search searches content, also in compressed and in encoded parts, such as attestations.
func (s *searched) search(where string, content []byte) {
	for name, secret := range s.secrets {
		if bytes.Contains(content, []byte(secret)) {
			s.t.Errorf("%s has %s", where, name)
		}
	}
	if reader, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
		if plain, err := io.ReadAll(reader); err == nil {
			s.search(where, plain)
		}
		return
	}
	for _, text := range encoded.FindAll(content, -1) {
		if plain, err := base64.StdEncoding.DecodeString(string(text)); err == nil {
			s.search(where+" (encoded)", plain)
		}
	}
}

// files searches all regular files below a directory.
func (s *searched) files(dir string) {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		s.search(path, content)
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
}

// watchProcesses searches the argument lists of all other processes until stop is called.
func (s *searched) watchProcesses() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, line := range lines {
				// A process may end meanwhile.
				args, err := os.ReadFile(line)
				if err != nil || len(args) == 0 || line == fmt.Sprintf("/proc/%d/cmdline", os.Getpid()) {
					continue
				}
				s.processes++
				s.search(line+" "+strings.ReplaceAll(string(args), "\x00", " "), args)
			}
			time.Sleep(3 * time.Millisecond)
		}
	})
	return func() { cancel(); group.Wait() }
}

func writeJSON(t *testing.T, path string, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Without signatures nothing is attached, and every push says so.
func TestSignNoneAttestsNothing(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	c.file(t, "libre.yaml", "sign: none\n")
	reg := newWatched(t, "no referrers", "")
	for range 2 {
		got := c.run("push", two, "--to", reg.prefix()).want(t, 0)
		if !strings.Contains(got.stderr, "sign: none in libre.yaml: images are not signed and get no SBOM or provenance") {
			t.Errorf("nothing says that nothing is signed:\n%s", got.stderr)
		}
	}
	if tags := reg.tags(t); len(tags) != 3 {
		t.Errorf("tags %v", tags)
	}
	for _, request := range reg.since(0) {
		if strings.Contains(request, "sha256-") || strings.Contains(request, "referrers") {
			t.Errorf("nothing is to be attached, and yet %s", request)
		}
	}
	// With signing, the unsigned release does not count as published, and the locally built images are signed.
	signing := shared(t).copy(t)
	if plan := signing.run("plan", two, "--to", reg.prefix()).want(t, 0); !strings.Contains(plan.stdout, "not signed") {
		t.Errorf("plan with a key:\n%s", plan.stdout)
	}
	signing.edit(t, "apps/two/default.nix", "the job of two", "another job")
	refused := signing.run("push", two, "--to", reg.prefix()).want(t, 3)
	checkLines(t, refused)
	if !strings.Contains(refused.stderr, "two-default:2-3 is published with other content") || !strings.Contains(refused.stderr, "this catalogue's key did not sign it") {
		t.Errorf("pushed with a key, and other content:\n%s", refused.stderr)
	}
	signing.edit(t, "apps/two/default.nix", "another job", "the job of two")
	signing.run("push", two, "--to", reg.prefix()).want(t, 0)
	signing.run("verify", two, "--to", reg.prefix()).want(t, 0)
}

func TestMistakesAreOneLineEach(t *testing.T) {
	t.Parallel()
	c := shared(t).copy(t)
	reg := newWatched(t, "no referrers", sign.Bundle)
	reg.setMeddle(func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("nothing can be done, and yet %s %s", r.Method, r.URL.Path)
		}
		return false
	})
	to := []string{"--to", reg.prefix()}
	wrong := c
	wrong.env = append(wrong.env, "COSIGN_PASSWORD=another")
	for _, test := range []struct {
		name string
		c    catalogue
		args []string
		code int
		want string
	}{
		{"wrong password", wrong, append([]string{"push", two}, to...), 4, "error: open the private key "},
		{"no registry", c, []string{"push", two}, 2, "error: no registry: give --to"},
		{"no such key", c, append([]string{"push", two, "--key", "gone.key"}, to...), 1, "gone.key"},
		{"bad registry", c, []string{"push", two, "--to", "Not A Registry"}, 2, "expected REGISTRY[/NAMESPACE]"},
		{"nothing selected", c, append([]string{"push"}, to...), 2, "nothing selected: libre push --all, or some of: one two"},
		{"no such app", c, append([]string{"push", "three"}, to...), 2, "three"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.c.run(test.args...).want(t, test.code)
			checkLines(t, got)
			if !strings.Contains(got.stderr, test.want) {
				t.Errorf("stderr:\n%s\nwant %q", got.stderr, test.want)
			}
		})
	}
	t.Run("no key", func(t *testing.T) {
		c.file(t, "libre.yaml", "registry: "+reg.prefix()+"\n")
		got := c.run("push", two).want(t, 2)
		checkLines(t, got)
		if !strings.Contains(got.stderr, "error: no signing key: make one with libre keygen") {
			t.Errorf("stderr:\n%s", got.stderr)
		}
	})
}

package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/upstream/forgetest"
	"github.com/libresh/libre/internal/web"
)

func TestLimits(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	in := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	for _, test := range []struct {
		name   string
		faults []forgetest.Fault
		waits  []time.Duration
		until  time.Duration // of the LimitError, 0 none
	}{
		{name: "Retry-After in seconds", waits: []time.Duration{7 * time.Second},
			faults: []forgetest.Fault{{Status: 429, Header: map[string]string{"Retry-After": "7"}}}},
		{name: "Retry-After as a date", waits: []time.Duration{30 * time.Second},
			faults: []forgetest.Fault{{Status: 403, Header: map[string]string{"Retry-After": now.Add(30 * time.Second).UTC().Format(http.TimeFormat)}}}},
		{name: "a long Retry-After", until: time.Hour,
			faults: []forgetest.Fault{{Status: 429, Header: map[string]string{"Retry-After": "3600"}}}},
		{name: "the hour's requests, renewed soon", waits: []time.Duration{20 * time.Second},
			faults: []forgetest.Fault{{Status: 403, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(20 * time.Second)}}}},
		{name: "the hour's requests, renewed late", until: 31 * time.Minute,
			faults: []forgetest.Fault{{Status: 429, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(31 * time.Minute)}}}},
		{name: "a secondary limit that names no time", waits: []time.Duration{time.Minute},
			faults: []forgetest.Fault{{Status: 403, Body: `{"message":"You have exceeded a secondary rate limit."}`}}},
		{name: "a secondary limit again", waits: []time.Duration{time.Minute}, until: 2 * time.Minute,
			faults: []forgetest.Fault{{Status: 429}, {Status: 429}}},
		{name: "gateways and a broken connection", waits: []time.Duration{0, 0, 0},
			faults: []forgetest.Fault{{Status: 502}, {Status: 0}, {Status: 503}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			forge := forgetest.GitHub(t)
			forge.AddTags("o/r", []forgetest.Tag{{Name: "v1", Commit: objectA}})
			faults := test.faults
			forge.SetFault(func(*http.Request) *forgetest.Fault {
				if len(faults) == 0 {
					return nil
				}
				next := faults[0]
				faults = faults[1:]
				return &next
			})
			c, waited := newClient(t, "", forge.Environment())
			c.transport.Now = func() time.Time { return now }
			tags, err := openGitHub(t, c, "o/r").Tags(t.Context())
			if len(*waited) != len(test.waits) {
				t.Errorf("waited %v, want %v", *waited, test.waits)
			} else {
				for i, want := range test.waits {
					if want != 0 && (*waited)[i] != want {
						t.Errorf("waited %v, want %v", *waited, test.waits)
					}
				}
			}
			var limit *web.LimitError
			switch {
			case test.until == 0 && (err != nil || len(tags.All) != 1):
				t.Errorf("got %v, %v", tags, err)
			case test.until != 0 && (!errors.As(err, &limit) || !limit.Until.Equal(now.Add(test.until)) || strings.Contains(err.Error(), "\n")):
				t.Errorf("error %v, want a limit for %v", err, test.until)
			case test.until != 0:
				forge.Requests()
				if _, err := openGitHub(t, c, "o/r").Tags(t.Context()); !errors.As(err, &limit) || len(forge.Requests()) != 0 {
					t.Errorf("asked again before the time: %v", err)
				}
				c.transport.Now = func() time.Time { return now.Add(test.until + time.Second) }
				if _, err := openGitHub(t, c, "o/r").Tags(t.Context()); err != nil {
					t.Errorf("after the time: %v", err)
				}
			}
		})
	}
}

// The quota of the API, as GitHub counts it, through go-github.
func TestQuota(t *testing.T) {
	forge := forgetest.GitHub(t)
	repo := forge.AddTags("o/r", nil)
	for i := range 250 {
		repo.AddRelease(forgetest.Release{Tag: "v" + strconv.Itoa(i), Date: time.Unix(int64(i), 0)})
	}
	forge.SetQuota(1, time.Now().Add(40*time.Minute))
	c, _ := newClient(t, "", forge.Environment())
	finder := openGitHub(t, c, "o/r")
	if found := release(t, finder, "v249"); found == nil {
		t.Error("no release v249")
	}
	_, err := finder.Release(t.Context(), "v1")
	var limit *web.LimitError
	if !errors.As(err, &limit) || !strings.Contains(err.Error(), "takes no more requests until ") || !strings.Contains(err.Error(), "GITHUB_TOKEN") {
		t.Errorf("error %v", err)
	}
	// If the wait is short, the request continues, although go-github expected the quota's end.
	forge.SetQuota(1, time.Now().Add(30*time.Second))
	c, waited := newClient(t, "", forge.Environment())
	c.transport.Wait = func(context.Context, time.Duration) error {
		*waited = append(*waited, 1)
		forge.SetQuota(10, time.Now().Add(time.Hour))
		return nil
	}
	finder = openGitHub(t, c, "o/r")
	release(t, finder, "v249")
	if found := release(t, finder, "v1"); found == nil || len(*waited) != 1 {
		t.Errorf("release %v after %v", found, *waited)
	}
}

func TestNoSecondTryOfWhatChanges(t *testing.T) {
	count := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count++
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer server.Close()
	c, _ := newClient(t, "")
	response, err := c.HTTP().Post(server.URL, "application/json", strings.NewReader("{}"))
	if err != nil || response.StatusCode != http.StatusBadGateway || count != 1 {
		t.Errorf("%d requests, %v, %v: a POST may have been done", count, response, err)
	}
	response.Body.Close()
	count = 0
	response, err = c.HTTP().Get(server.URL)
	if err != nil || response.StatusCode != http.StatusBadGateway || count != web.MostAttempts {
		t.Errorf("%d requests, %v, %v", count, response, err)
	}
	response.Body.Close()
}

func TestCancelled(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "50")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	c, _ := newClient(t, "", map[string]string{"GITHUB_SERVER_URL": server.URL})
	ctx, cancel := context.WithCancel(t.Context())
	c.transport.Wait = func(ctx context.Context, _ time.Duration) error {
		cancel()
		return ctx.Err()
	}
	if _, err := openGitHub(t, c, "o/r").Tags(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestRefusalThatRepeatsTheToken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, `{"message":"what is `+tokenSent(r)+`?"}`)
	}))
	defer server.Close()
	c, _ := newClient(t, "", map[string]string{"GITHUB_SERVER_URL": server.URL, "GITHUB_TOKEN": "hunter2"})
	_, err := openGitHub(t, c, "o/r").Release(t.Context(), "v1")
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "what is …?") {
		t.Errorf("error %v", err)
	}
}

func tokenSent(r *http.Request) string {
	if _, password, isBasic := r.BasicAuth(); isBasic {
		return password
	}
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token
}

func TestCache(t *testing.T) {
	forge := forgetest.GitHub(t)
	repo := forge.AddTags("o/r", nil)
	repo.AddRelease(forgetest.Release{Tag: "v1", Notes: "one"})
	forge.AddToken("hunter2", true)
	dir := filepath.Join(t.TempDir(), "cache")
	ask := func(environment map[string]string) (string, string) {
		c, _ := newClient(t, dir, forge.Environment(), environment)
		response, err := c.HTTP().Get(forge.URL + "/api/v3/repos/o/r/releases")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response.Status, err)
		}
		return string(body), response.Header.Get("X-From-Cache")
	}
	first, fresh := ask(token("hunter2"))
	forge.SetQuota(5, time.Now())
	second, kept := ask(token("hunter2"))
	if first != second || fresh != "" || kept != "1" {
		t.Errorf("%q (%q), then %q (%q)", first, fresh, second, kept)
	}
	if requests := forge.Requests(); len(requests) != 2 || requests[1].Status != http.StatusNotModified {
		t.Errorf("requests %v", requests)
	}
	repo.AddRelease(forgetest.Release{Tag: "v2", Draft: true})
	if changed, fresh := ask(token("hunter2")); !strings.Contains(changed, "v2") || fresh != "" {
		t.Errorf("after a change: %q (%q)", changed, fresh)
	}
	if other, fresh := ask(nil); strings.Contains(other, "v2") || fresh != "" {
		t.Errorf("without the token: %q (%q)", other, fresh)
	}

	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v, want one with and one without the token", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		info, statErr := os.Stat(file)
		if err != nil || statErr != nil || strings.Contains(string(content), "hunter2") || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, %s", file, err, info.Mode(), content)
		}
		if err := os.WriteFile(file, content[:len(content)/2], 0o600); err != nil { // a disk that was full
			t.Fatal(err)
		}
	}
	if _, fresh := ask(token("hunter2")); fresh != "" {
		t.Error("half a file was taken for an answer")
	}
	if hidden, _ := filepath.Glob(filepath.Join(dir, ".*")); len(hidden) > 0 {
		t.Errorf("left behind: %v", hidden)
	}
}

func TestCacheLeavesArchivesAlone(t *testing.T) {
	large := strings.Repeat("x", mostCached+10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Content-Type", strings.TrimPrefix(r.URL.Path, "/"))
		io.WriteString(w, large)
	}))
	defer server.Close()
	dir := t.TempDir()
	c, _ := newClient(t, dir)
	for _, kind := range []string{"application/x-gzip", "application/json"} {
		response, err := c.HTTP().Get(server.URL + "/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != large {
			t.Errorf("%s: %d bytes, %v", kind, len(body), err)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); !slices.Equal(files, nil) {
		t.Errorf("kept %v", files)
	}
}

// libre gc removes answers that were not used for long. An answer that a forge confirms is not
// written again.
func TestUseOfAnAnswerIsRecorded(t *testing.T) {
	forge := forgetest.GitHub(t)
	forge.AddTags("o/r", nil).AddRelease(forgetest.Release{Tag: "v1"})
	dir := filepath.Join(t.TempDir(), "cache")
	long := time.Now().Add(-30 * 24 * time.Hour)
	for range 2 {
		c, _ := newClient(t, dir, forge.Environment())
		response, err := c.HTTP().Get(forge.URL + "/api/v3/repos/o/r/releases")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		if len(files) != 1 {
			t.Fatalf("files %v, want one", files)
		}
		info, err := os.Stat(files[0])
		if err != nil || time.Since(info.ModTime()) > time.Hour {
			t.Errorf("%v, used at %v", err, info.ModTime())
		}
		if err := os.Chtimes(files[0], long, long); err != nil {
			t.Fatal(err)
		}
	}
}

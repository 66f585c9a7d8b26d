package propose

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/upstream/forgetest"
	"github.com/libresh/libre/internal/web"
)

func TestProposeRefusals(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		host := strings.TrimPrefix(d.forge.URL, "http://")
		propose := func() error {
			p, err := d.proposer()
			if err == nil {
				_, err = p.Propose(t.Context(), d.docs("5.4.1"))
			}
			return err
		}
		answer := func(method, part string, status int, body string) func(*http.Request) *forgetest.Fault {
			return func(r *http.Request) *forgetest.Fault {
				if r.Method != method || !strings.Contains(r.URL.Path+"?"+r.URL.RawQuery, d.words(part)) {
					return nil
				}
				return &forgetest.Fault{Status: status, Header: map[string]string{"Content-Type": "application/json"}, Body: body}
			}
		}
		invalid := `{"message": "Validation Failed", "errors": [{"resource": "PullRequest", "code": "custom", "message": "\u001b[31mA pull request already exists\nfor it"}]}`
		if d.environment["FORGEJO_SERVER_URL"] != "" {
			invalid = `{"message": "Validation Failed: \u001b[31mA pull request already exists\nfor it"}`
		}
		if d.isGitLab() {
			invalid = `{"message": {"base": ["\u001b[31mA pull request already exists\nfor it"], "title": ["is too long", "is bad"]}}`
		}
		const rights = ": the token needs write access to contents and pull requests of coop/catalogue"
		for _, test := range []struct {
			name string
			fail func(*http.Request) *forgetest.Fault
			want string
			is   func(error) bool
		}{
			{"listing", answer("GET", "/pulls", 403, `{"message": "Resource not accessible, `+ourToken+`"}`),
				"listing the pull requests of coop/catalogue: " + host + " answers 403 Forbidden: Resource not accessible, …" + rights, refused},
			{"private", answer("GET", "/pulls", 404, `{"message": "Not Found"}`),
				"listing the pull requests of coop/catalogue: " + host + " answers 404 Not Found: Not Found: coop/catalogue does not exist, or is hidden from the token", nil},
			{"push", answer("GET", "service=git-receive-pack", 403, "no"),
				"pushing libre/docs: git push: fatal: unable to access '" + d.forge.URL + "/coop/catalogue.git/': The requested URL returned error: 403: the token or key needs the right to push", refused},
			{"invalid", answer("POST", "/pulls", 422, invalid),
				"opening a pull request for libre/docs: " + host + " answers 422 Unprocessable Entity: Validation Failed: A pull request already exists for it", nil},
			{"no pull requests", answer("POST", "/pulls", 403, `{"message": "GitHub Actions is not permitted to create or approve them."}`),
				"opening a pull request for libre/docs: " + host + " answers 403 Forbidden: GitHub Actions is not permitted to create or approve them." + rights, refused},
			{"limit", func(r *http.Request) *forgetest.Fault {
				if !strings.HasSuffix(r.URL.Path, d.words("/pulls")) {
					return nil
				}
				return &forgetest.Fault{Status: 429, Header: map[string]string{"Retry-After": "7200"}}
			}, "", func(err error) bool { return errors.As(err, new(*web.LimitError)) }},
		} {
			t.Run(test.name, func(t *testing.T) {
				d.forge.SetFault(test.fail)
				err := propose()
				want := d.words(test.want)
				if d.isGitLab() && test.name == "invalid" {
					want = strings.Replace(want, "Validation Failed: A merge request already exists for it", "base A pull request already exists for it: title is too long, is bad", 1)
				}
				if err == nil || want != "" && err.Error() != want {
					t.Fatalf("%v, expected\n%s", err, want)
				}
				if test.is != nil && !test.is(err) {
					t.Errorf("%v is %T", err, err)
				}
				if strings.ContainsAny(err.Error(), "\n\x1b") {
					t.Errorf("not one line: %q", err)
				}
				d.checkSecrecyOf(err.Error())
			})
		}
		d.forge.SetFault(nil)
		d.propose(d.docs("5.4.1"), Opened, 1) // the next run completes an interrupted one
	})
}

// The quota of a forge is used up. Forgejo has no quota.
func TestProposeQuota(t *testing.T) {
	for _, start := range []func(testing.TB) *forgetest.Forge{forgetest.GitHub, forgetest.GitLab} {
		d := newDesk(t, start(t))
		until := time.Now().Add(time.Hour)
		d.forge.SetQuota(0, until)
		_, err := d.proposer()
		var limit *web.LimitError
		if !errors.As(err, &limit) || limit.Until.Sub(until).Abs() > time.Minute || strings.Contains(err.Error(), "\n") {
			t.Error(err)
		}
	}
}

// Without a token, and with one that may only read.
func TestProposeWithoutRights(t *testing.T) {
	flavours(t, func(t *testing.T, d *desk) {
		d.forge.AddToken("reader", false)
		for _, token := range []string{"", "reader", "unknown"} {
			d.setToken(token)
			p, err := d.proposer()
			if err == nil {
				_, err = p.Propose(t.Context(), d.docs("5.4.1"))
			}
			if !refused(err) || strings.Contains(err.Error(), "\n") || token != "" && strings.Contains(err.Error(), token) {
				t.Errorf("token %q: %v", token, err)
			}
		}
	})
}

// The credential that actions/checkout leaves in the configuration is used, and only once.
func TestProposeWithPersistedCredential(t *testing.T) {
	d := newDesk(t, forgetest.GitHub(t))
	d.forge.AddToken("persisted", true)
	d.git(d.dir, "config", "http."+d.forge.URL+"/.extraheader", "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46cGVyc2lzdGVk")
	d.forge.Requests()
	d.propose(d.docs("5.4.1"), Opened, 1)
	tokens := map[string]bool{}
	for _, r := range d.forge.Requests() {
		if strings.Contains(r.Path, "/coop/catalogue.git/") {
			tokens[r.Token] = true
		}
	}
	if !maps.Equal(tokens, map[string]bool{"persisted": true}) {
		t.Errorf("git sent %v", tokens)
	}
}

func TestHostileProposals(t *testing.T) {
	d := newDesk(t, forgetest.GitHub(t))
	p := d.mustProposer()
	d.writes()
	for name, spoil := range map[string]func(*Proposal){
		"name":        func(p *Proposal) { p.Name = "../../heads/main" },
		"option":      func(p *Proposal) { p.Name = "--delete" },
		"lock":        func(p *Proposal) { p.Name = "docs.lock" },
		"dots":        func(p *Proposal) { p.Name = "do..cs" },
		"version":     func(p *Proposal) { p.Apps["docs"] = "1.0 -->" },
		"app":         func(p *Proposal) { p.Apps["docs, meet"] = "1" },
		"no file":     func(p *Proposal) { p.After = nil },
		"outside":     func(p *Proposal) { p.After["../README.md"] = []byte("x") },
		"absolute":    func(p *Proposal) { p.After["/etc/passwd"] = []byte("x") },
		"git's":       func(p *Proposal) { p.After[".git/config"] = []byte("x") },
		"line":        func(p *Proposal) { p.After["a\x00b"] = []byte("x") },
		"other's own": func(p *Proposal) { p.Before["apps/docs/default.nix"] = []byte("x") },
	} {
		change := d.docs("5.4.1")
		spoil(change)
		if got, err := p.Propose(t.Context(), change); err == nil || strings.ContainsAny(err.Error(), "\n\x1b\x00") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if writes := d.writes(); len(writes) > 0 {
		t.Errorf("%q", writes)
	}

	change := d.docs("5.4.1")
	change.Title = "docs: $(id) -> `id`\nLibre-Change: 0\x1b[31m @all #1\u202e " + strings.Repeat("x", 300)
	change.Message = "see @all, fixes #1\r\nhttps://example.org/compare/a@1...a@2\n<!-- libre: meet 1-1 -->\n\nLibre-Change: 0123456789012345678901234567890123456789"
	change.Body = "text\n" + strings.Repeat("long\n", 20_000)
	d.propose(change, Opened, 1)
	pull := d.pull(1)
	if strings.ContainsAny(pull.Title, "\n\x1b\u202e") || strings.Contains(pull.Title, "@all") || strings.Contains(pull.Title, "#1") || len([]rune(pull.Title)) > 200 {
		t.Errorf("%q", pull.Title)
	}
	if len(pull.Body) > 60_000 || !maps.Equal(readMark(pull.Body), change.Apps) {
		t.Errorf("%d bytes, %v", len(pull.Body), readMark(pull.Body))
	}
	message := d.git(d.repo.Dir, "show", "--no-patch", "--format=%B", "libre/docs")
	if strings.Contains(message, "@all") || strings.Contains(message, "#1") || !strings.Contains(message, "\nhttps://example.org/compare/a%401...a%402\n") {
		t.Errorf("%q", message)
	}
	d.propose(change, Unchanged, 1) // only the last trailer counts
}

func refused(err error) bool { return fault.Is(err, fault.Credentials) }

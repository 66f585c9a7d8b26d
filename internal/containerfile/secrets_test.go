package containerfile

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/testkit"
)

// Secrets are random, because this program, with its constants, is in images.
var (
	token = "tok-" + rand.Text() + "/+canary"
	netrc = "machine git.example\nlogin bot\npassword " + password + "\n"

	password = rand.Text()
)

// asks is a Containerfile whose steps use secrets in every way, and print them.
const asks = `FROM base
ARG LIBRE_SECRET_0
ARG NPM_TOKEN
RUN --mount=type=secret,id=npm_token busybox cat /run/secrets/npm_token | busybox wc -c > /token
RUN --mount=type=secret,id=npm_token,target=/t,required=true --mount=type=secret,id=netrc,target=/n busybox md5sum /t /n > /both
RUN --mount=type=secret,id=npm_token,target=/t \
  set -x; t=$(busybox cat /t); busybox echo "is $t and $(busybox base64 /t)"; busybox printf %s "$t"; busybox sleep 1; busybox echo
RUN --mount=type=secret,id=netrc,target=/n busybox cat /n
RUN busybox ls /run/secrets /t /n > /later 2>/dev/null; busybox echo "$LIBRE_SECRET_0$NPM_TOKEN" > /arguments; busybox env > /environment; busybox cat /proc/[0-9]*/environ > /environments
RUN --mount=type=secret,id=nobodys,target=/n busybox ls /n; true
`

func tellSecrets(p *place) func(*order) {
	file := p.write("secrets/netrc", netrc, 0o600)
	return func(o *order) {
		o.App = "docs"
		o.Secrets = map[string]Secret{
			"npm_token": {Environment: "NPM_TOKEN", Apps: []string{"meet", "docs"}},
			"netrc":     {File: file, Apps: []string{"docs"}},
			"unasked":   {Environment: "UNASKED", Apps: []string{"docs"}},
		}
	}
}

// A step gets the secrets that it mounts. The image, the log and the arguments of
// processes do not contain them.
func TestStepsGetTheirSecrets(t *testing.T) {
	unasked := rand.Text()
	eachUser(t, func(t *testing.T, p *place) {
		files, got := p.build(asks, nil, tellSecrets(p), "NPM_TOKEN="+token, "UNASKED="+unasked)
		if got.Err != "" {
			t.Fatal(got.Err)
		}
		if got, want := files["/token"].content, fmt.Sprintln(len(token)); got != want {
			t.Errorf("the step has a token of %q bytes, want %q", got, want)
		}
		if both := files["/both"].content; both != sums(token, netrc) {
			t.Errorf("the step has %q", both)
		}
		if said := files["/later"].content + files["/arguments"].content; strings.TrimSpace(strings.ReplaceAll(said, "/run/secrets:", "")) != "" {
			t.Errorf("a step that asks for nothing has %q", said)
		}
		layout := filepath.Join(got.Layout, "../..")
		for _, canary := range []string{token, base64.StdEncoding.EncodeToString([]byte(token)), password, unasked} {
			found, _ := exec.Command("grep", "-rlF", "--", canary, layout).Output()
			if len(found) > 0 {
				t.Errorf("%s is in %s", canary, found)
			}
		}
		log, _ := os.ReadFile(filepath.Join(layout, "log"))
		if said := string(log); !strings.Contains(said, "is *** and ***") || !strings.Contains(said, "id=npm_token,env=LIBRE_SECRET_") || strings.Contains(said, "id=unasked") {
			t.Errorf("log:\n%s", log)
		}
	})
}

func sums(t, n string) string {
	sum := func(s string) string {
		cmd := exec.Command("md5sum")
		cmd.Stdin = strings.NewReader(s)
		out, _ := cmd.Output()
		return strings.Fields(string(out))[0]
	}
	return sum(t) + "  /t\n" + sum(n) + "  /n\n"
}

// A missing secret that a step requires is an error before the build, with its line and a
// fix. An optional one is a warning.
func TestMissingRequiredSecretsFail(t *testing.T) {
	for name, tt := range map[string]struct {
		run       string
		secrets   map[string]Secret
		ssh       map[string]Secret
		err, warn string
	}{
		"nobody's":    {run: "--mount=type=secret,id=npm_token,required=true", err: "Containerfile:2: RUN asks for the secret npm_token: it is not configured; set it in libre.yaml, for example build: {secrets: {npm_token: {environment: VARIABLE, apps: [docs]}}}"},
		"another's":   {run: "--mount=type=secret,target=/x/netrc,required", secrets: map[string]Secret{"netrc": {File: "/etc/passwd", Apps: []string{"meet"}}}, err: "Containerfile:2: RUN asks for the secret netrc: build.secrets.netrc in libre.yaml does not list docs; if its upstream may read it, add docs to build.secrets.netrc.apps"},
		"not set":     {run: "--mount=type=secret,source=a,required=true", secrets: map[string]Secret{"a": {Environment: "LIBRE_TEST_UNSET", Apps: []string{"docs"}}}, err: "RUN asks for the secret a: the variable LIBRE_TEST_UNSET is not set; set LIBRE_TEST_UNSET where libre runs"},
		"no file":     {run: "--mount=type=secret,id=a,required=true", secrets: map[string]Secret{"a": {File: "/nowhere/a", Apps: []string{"docs"}}}, err: "RUN asks for the secret a: open /nowhere/a: no such file"},
		"a device":    {run: "--mount=type=secret,id=a,required=true", secrets: map[string]Secret{"a": {File: "/dev/zero", Apps: []string{"docs"}}}, err: "RUN asks for the secret a: "},
		"large":       {run: "--mount=type=secret,id=a,required=true", secrets: map[string]Secret{"a": {File: os.Args[0], Apps: []string{"docs"}}}, err: "is larger than 120 KiB"},
		"no agent":    {run: "--mount=type=ssh,required=true", err: "RUN asks for the SSH agent default: it is not configured; set it in libre.yaml, for example build: {ssh: {default: {environment: SSH_AUTH_SOCK, apps: [docs]}}}"},
		"their agent": {run: "--mount=type=ssh,id=git,required=true", ssh: map[string]Secret{"git": {Environment: "HOME", Apps: []string{"meet"}}}, err: "RUN asks for the SSH agent git: build.ssh.git in libre.yaml does not list docs"},
		"asked twice": {run: "--mount=type=secret,id=a true\nRUN --mount=type=secret,id=a,required=true", err: "Containerfile:3: RUN asks for the secret a: it is not configured"},
		"optional":    {run: "--mount=type=secret,id=a"},
		"optional, another's": {run: "--mount=type=secret,id=a", secrets: map[string]Secret{"a": {Environment: "HOME", Apps: []string{"meet"}}},
			warn: "Containerfile:2: RUN asks for the secret a, and runs without it: build.secrets.a in libre.yaml does not list docs; if its upstream may read it, add docs to build.secrets.a.apps"},
		"another stage": {run: "true\nFROM scratch AS unused\nRUN --mount=type=secret,id=a,required=true x\nFROM scratch\nRUN"},
	} {
		var warnings []string
		j := &job{Request: Request{
			Source: write(t, map[string]string{"Containerfile": "FROM scratch\nRUN " + tt.run + " true\n"}), App: "docs", Steps: Steps{Secrets: tt.secrets, SSH: tt.ssh},
			Warn: func(warning string) { warnings = append(warnings, warning) },
		}}
		err := j.read()
		if (err != nil) != (tt.err != "") || !strings.Contains(errorText(err), tt.err) {
			t.Errorf("%s: %v, want %s", name, err, tt.err)
		}
		if got := strings.Join(warnings, "\n"); got != tt.warn {
			t.Errorf("%s: warned of %q, want %q", name, got, tt.warn)
		}
	}
}

// A printed secret is masked in any form: in parts, encoded, line by line, and in an endless
// line.
func TestSecretsAreMaskedInLogs(t *testing.T) {
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nQQ==\n-----END OPENSSH PRIVATE KEY-----\n"
	for name, tt := range map[string]struct {
		secret string
		writes []string
		leaks  []string // what the log must not contain
	}{
		"in parts":         {token, []string{"a " + token[:7], token[7:] + " b\n"}, []string{token[:7], token[7:]}},
		"at the end":       {token, []string{"a", token}, []string{token[:9]}},
		"lines":            {key, []string{"#8 0.1 b3BlbnNzaC1rZXktdjEAAAAA\n#8 0.2 -----BEGIN OPENSSH PRIVATE KEY-----\n"}, []string{"b3Blb", "BEGIN"}},
		"json":             {`a"b\c<d`, []string{`{"token": "a\"b\\c\u003cd"}` + "\n"}, []string{`\\c`}},
		"a URL":            {token, []string{"https://" + url.QueryEscape(token) + "@h\n"}, []string{token[:9]}},
		"base64":           {token, []string{base64.StdEncoding.EncodeToString([]byte(token)) + "\n"}, []string{base64.StdEncoding.EncodeToString([]byte(token))}},
		"a long line":      {token, []string{strings.Repeat("x", 64<<10-5), token, strings.Repeat("y", 100<<10), token}, []string{token[:9], "canary"}},
		"many long writes": {token, inParts(strings.Repeat("x", 64<<10-3) + token + strings.Repeat(token+".", 9000)), []string{token[:9], "canary"}},
	} {
		path := filepath.Join(t.TempDir(), "log")
		var told []string
		o, err := newOutput(t.Context(), path, func(line string) { told = append(told, line) })
		if err != nil {
			t.Fatal(err)
		}
		o.mask = newMask([]string{tt.secret})
		for _, part := range tt.writes {
			o.Write([]byte(part))
		}
		told = append(told, o.tail()...)
		o.Close()
		log, _ := os.ReadFile(path)
		for _, leak := range tt.leaks {
			if strings.Contains(string(log), leak) || strings.Contains(strings.Join(told, ""), leak) {
				t.Errorf("%s: %q is told", name, leak)
			}
		}
		if !strings.Contains(string(log), masked) {
			t.Errorf("%s: nothing is masked in %d bytes", name, len(log))
		}
	}
}

// inParts splits a text like a pipe may do.
func inParts(text string) (parts []string) {
	for part := range slices.Chunk([]byte(text), 1021) {
		parts = append(parts, string(part))
	}
	return parts
}

// newKey returns a private key as ssh-keygen writes it.
func newKey(t *testing.T, passphrase string) (private ed25519.PrivateKey, text string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "test", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return private, string(pem.EncodeToMemory(block))
}

// askAgent runs in a step, and uses the step's agent.
func askAgent(string) {
	c, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		fmt.Println("no agent")
		return
	}
	keys := agent.NewClient(c)
	list, err := keys.List()
	fmt.Println("keys", len(list), err)
	for _, key := range list {
		signature, err := keys.Sign(key, []byte("data"))
		fmt.Println("signs", err == nil && key.Verify([]byte("data"), signature) == nil)
		fmt.Println("removes", keys.Remove(key) == nil)
	}
	_, private, _ := ed25519.GenerateKey(nil)
	fmt.Println("adds", keys.Add(agent.AddedKey{PrivateKey: private}) == nil)
}

// A step that mounts an agent can sign with it, whether it is an agent or a key, and cannot
// change its keys. Other steps have no agent.
func TestStepsGetTheirSSHAgent(t *testing.T) {
	private, key := newKey(t, "")
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	eachUser(t, func(t *testing.T, p *place) {
		socket := filepath.Join(p.dir, "agent."+strings.ReplaceAll(t.Name(), "/", "."))
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p.run("chown", fmt.Sprint(p.u.uid), socket)
		go serveAgent(l, func() (agent.ExtendedAgent, error) { return ring.(agent.ExtendedAgent), nil })
		file := p.write("secrets/key", key, 0o600)
		ssh := map[string]Secret{
			"default": {Environment: "SSH_AUTH_SOCK", Apps: []string{"docs"}},
			"file":    {File: file, Apps: []string{"docs"}},
			"value":   {Environment: "DEPLOY_KEY", Apps: []string{"docs"}},
		}
		const step = "attack agent >> /out\n"
		files, got := p.build("FROM base\nRUN --mount=type=ssh "+step+"RUN --mount=type=ssh,id=file "+step+"RUN --mount=type=ssh,id=value,required=true "+step+"RUN "+step, nil, func(o *order) {
			o.App, o.SSH = "docs", ssh
		}, "SSH_AUTH_SOCK="+socket, "DEPLOY_KEY="+key)
		if got.Err != "" {
			t.Fatal(got.Err)
		}
		const signs = "keys 1 <nil>\nsigns true\nremoves false\nadds false\n"
		if said := files["/out"].content; said != signs+signs+signs+"no agent\n" {
			t.Errorf("steps say %q", said)
		}
		log, _ := os.ReadFile(filepath.Join(got.Layout, "../../log"))
		if strings.Contains(string(log), strings.Split(key, "\n")[1]) || strings.Contains(string(log), socket) {
			t.Errorf("log:\n%s", log)
		}
	})
}

// The error for an invalid agent or key does not quote it.
func TestInvalidSSHAgentsAreRefused(t *testing.T) {
	_, locked := newKey(t, "passphrase")
	for value, want := range map[string]string{
		locked:                 "the private key has a passphrase; add it to ssh-agent",
		"-----BEGIN x-----\ny": "is not a valid private key",
		"/nowhere/agent":       "no SSH agent answers at the configured socket; start one",
		os.Args[0]:             "no SSH agent answers",
	} {
		j := &job{agents: map[string]string{"default": value}}
		_, _, _, err := j.serveAgents(t.TempDir(), os.Geteuid())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(fault.Reason(err), value) {
			t.Errorf("%.20s: %v, want %s", value, err, want)
		}
	}
}

// Docker's client gets secrets and agents by the same flags.
func TestDockerStepsGetTheirSecrets(t *testing.T) {
	testkit.Docker(t, true)
	e, err := Detect(t.Context(), Choice{Name: "docker"})
	if err != nil {
		t.Fatal(err)
	}
	stepsGetTheirSecrets(t, e)
}

// stepsGetTheirSecrets builds with secrets and a key, of which nothing stays.
func stepsGetTheirSecrets(t *testing.T, e Engine) {
	p := &place{t: t, dir: t.TempDir(), u: builderUser{uid: os.Geteuid()}}
	_, key := newKey(t, "")
	var o order
	tellSecrets(p)(&o)
	o.SSH = map[string]Secret{"default": {File: p.write("key", key, 0o600), Apps: []string{"docs"}}}
	t.Setenv("NPM_TOKEN", token)
	req := request(t, write(t, map[string]string{"Containerfile": asks + "RUN --mount=type=ssh attack agent > /agent\n"}), map[string]Origin{"base": {Layout: attackersBase(t)}})
	req.App, req.Steps = o.App, o.Steps
	res, err := NewBuilder(e, "").Build(t.Context(), req)
	if err != nil {
		t.Fatal(describe(err))
	}
	img, cf := built(t, res)
	files := filesOf(t, img)
	if both := files["/both"].content; both != sums(token, netrc) {
		t.Errorf("the step has %q", both)
	}
	if said := files["/agent"].content; said != "keys 1 <nil>\nsigns true\nremoves false\nadds false\n" {
		t.Errorf("the agent %q", said)
	}
	log, _ := os.ReadFile(req.Log)
	config, _ := json.Marshal(cf)
	for _, canary := range []string{token, password, base64.StdEncoding.EncodeToString([]byte(token))} {
		if strings.Contains(string(log), canary) || strings.Contains(string(config), canary) {
			t.Errorf("%s is told:\n%s\n%s", canary, log, config)
		}
	}
	if said := string(log); !strings.Contains(said, "is *** and ***") {
		t.Errorf("log:\n%s", said)
	}
}

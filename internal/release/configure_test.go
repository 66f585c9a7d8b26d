package release

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
)

// configured applies a definition's configuration, in Nix's JSON, to an image's.
func configured(t *testing.T, definition string, has v1.Config) v1.Config {
	t.Helper()
	var c catalog.Config
	if err := json.Unmarshal([]byte(definition), &c); err != nil {
		t.Fatal(err)
	}
	Configure(c)(&has)
	return has
}

// An entrypoint removes upstream's command, which was for upstream's entrypoint.
func TestEntrypointResetsCommand(t *testing.T) {
	for _, test := range []struct {
		name, definition    string
		entrypoint, command []string
		wantEntry, wantCmd  []string
	}{
		{"nothing said", `{}`, []string{"/docker-entrypoint.sh"}, []string{"nginx", "-g", "daemon off;"}, []string{"/docker-entrypoint.sh"}, []string{"nginx", "-g", "daemon off;"}},
		{"entrypoint alone", `{"entrypoint":["/bin/migrate"]}`, []string{"/entrypoint"}, []string{"gunicorn", "app"}, []string{"/bin/migrate"}, nil},
		{"entrypoint alone, upstream has a command only", `{"entrypoint":["node"]}`, nil, []string{"node", "server.js"}, []string{"node"}, nil},
		{"an empty entrypoint", `{"entrypoint":[]}`, []string{"/entrypoint"}, []string{"serve"}, []string{}, nil},
		{"both", `{"entrypoint":["/init"],"command":["web"]}`, []string{"/entrypoint"}, []string{"serve", "--dev"}, []string{"/init"}, []string{"web"}},
		{"command alone", `{"command":["worker"]}`, []string{"/entrypoint"}, []string{"serve"}, []string{"/entrypoint"}, []string{"worker"}},
		{"an empty command", `{"command":[]}`, []string{"/entrypoint"}, []string{"serve"}, []string{"/entrypoint"}, []string{}},
	} {
		got := configured(t, test.definition, v1.Config{Entrypoint: test.entrypoint, Cmd: test.command})
		if diff := cmp.Diff(v1.Config{Entrypoint: test.wantEntry, Cmd: test.wantCmd}, got); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
}

// A definition's attributes replace upstream's values. Without an attribute, upstream's value stays.
func TestConfigure(t *testing.T) {
	set := func(names ...string) map[string]struct{} { return setOf(names) }
	upstream := func() v1.Config {
		return v1.Config{
			User: "1000", WorkingDir: "/srv", StopSignal: "SIGQUIT", ExposedPorts: set("8000/tcp", "53/udp"), Volumes: set("/var/lib/x"),
			Healthcheck: &v1.HealthConfig{Test: []string{"CMD-SHELL", "curl -f localhost"}, Interval: time.Minute},
		}
	}
	with := func(change func(*v1.Config)) v1.Config {
		config := upstream()
		change(&config)
		return config
	}
	for _, test := range []struct {
		name, definition string
		want             v1.Config
	}{
		{"nothing said", `{}`, upstream()},
		{"a port", `{"ports":[8080]}`, with(func(c *v1.Config) { c.ExposedPorts = set("8080/tcp") })},
		{"two protocols", `{"ports":[443],"otherPorts":["443/udp","2905/sctp"]}`, with(func(c *v1.Config) { c.ExposedPorts = set("443/tcp", "443/udp", "2905/sctp") })},
		{"UDP alone", `{"ports":[],"otherPorts":["53/udp"]}`, with(func(c *v1.Config) { c.ExposedPorts = set("53/udp") })},
		{"no ports", `{"ports":[]}`, with(func(c *v1.Config) { c.ExposedPorts = nil })},
		{"volumes", `{"volumes":["/data"]}`, with(func(c *v1.Config) { c.Volumes = set("/data") })},
		{"no volumes", `{"volumes":[]}`, with(func(c *v1.Config) { c.Volumes = nil })},
		{"the rest", `{"user":"7:7","workingDir":"/","stopSignal":"SIGINT"}`, with(func(c *v1.Config) { c.User, c.WorkingDir, c.StopSignal = "7:7", "/", "SIGINT" })},
		{"health", `{"health":{"command":["/bin/check","-q"],"timeout":3}}`, with(func(c *v1.Config) {
			c.Healthcheck = &v1.HealthConfig{Test: []string{"CMD", "/bin/check", "-q"}, Timeout: 3 * time.Second}
		})},
		{"all of health", `{"health":{"command":["x"],"interval":1,"timeout":2,"startPeriod":3,"retries":4}}`, with(func(c *v1.Config) {
			c.Healthcheck = &v1.HealthConfig{Test: []string{"CMD", "x"}, Interval: time.Second, Timeout: 2 * time.Second, StartPeriod: 3 * time.Second, Retries: 4}
		})},
	} {
		if diff := cmp.Diff(test.want, configured(t, test.definition, upstream())); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
}

package nix

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/catalog"
)

// components returns a definition with components c0, c1, … of a Containerfile, one a line.
func components(attributes []string) string {
	text := "  source.path = ./.;\n"
	for n, each := range attributes {
		text += fmt.Sprintf("  components.c%d = { containerfile = \"Dockerfile\"; %s };\n", n, each)
	}
	return text
}

func TestPortsAndHealth(t *testing.T) {
	check := func(c catalog.HealthCheck) *catalog.HealthCheck { return &c }
	tests := []struct {
		name, attributes string
		metadata         catalog.Component // its ports, protocols and health
		config           catalog.Config
	}{
		{"nothing said", ``, catalog.Component{}, catalog.Config{}},
		{"numbers", `ports = { http = 8080; metrics = 9090; }; health = "/up";`,
			catalog.Component{Ports: map[string]int{"http": 8080, "metrics": 9090}, Health: "/up"}, catalog.Config{Ports: []int{8080, 9090}}},
		{"no ports", `ports = { };`, catalog.Component{}, catalog.Config{Ports: []int{}}},
		{"a set without protocol", `ports.http = { port = 80; };`,
			catalog.Component{Ports: map[string]int{"http": 80}}, catalog.Config{Ports: []int{80}}},
		{"one number by two protocols", `ports = { https = 443; http3 = { port = 443; protocol = "udp"; }; };`,
			catalog.Component{Ports: map[string]int{"https": 443, "http3": 443}, Protocols: map[string]string{"http3": "udp"}},
			catalog.Config{Ports: []int{443}, OtherPorts: []string{"443/udp"}}},
		{"no TCP at all", `ports = { dns = { port = 53; protocol = "udp"; }; m3ua = { port = 2905; protocol = "sctp"; }; };`,
			catalog.Component{Ports: map[string]int{"dns": 53, "m3ua": 2905}, Protocols: map[string]string{"dns": "udp", "m3ua": "sctp"}},
			catalog.Config{Ports: []int{}, OtherPorts: []string{"2905/sctp", "53/udp"}}},
		{"a command", `health = { command = [ "bin/check" "--fast" ]; interval = 30; timeout = 5; startPeriod = 60; retries = 4; };`,
			catalog.Component{HealthCheck: check(catalog.HealthCheck{Command: []string{"bin/check", "--fast"}, Interval: 30, Timeout: 5, StartPeriod: 60, Retries: 4})},
			catalog.Config{Health: check(catalog.HealthCheck{Command: []string{"bin/check", "--fast"}, Interval: 30, Timeout: 5, StartPeriod: 60, Retries: 4})}},
		{"a path of one port", `ports = { http = 80; admin = 81; }; health = { path = "/up"; port = "admin"; interval = 5; };`,
			catalog.Component{Ports: map[string]int{"http": 80, "admin": 81}, Health: "/up", HealthCheck: check(catalog.HealthCheck{Path: "/up", Port: "admin", Interval: 5})},
			catalog.Config{Ports: []int{80, 81}}},
		{"a port that takes connections", `ports.redis = 6379; health.tcp = "redis";`,
			catalog.Component{Ports: map[string]int{"redis": 6379}, HealthCheck: check(catalog.HealthCheck{TCP: "redis"})}, catalog.Config{Ports: []int{6379}}},
		{"grpc", `ports.rpc = 50051; health = { grpc = "rpc"; retries = 2; };`,
			catalog.Component{Ports: map[string]int{"rpc": 50051}, HealthCheck: check(catalog.HealthCheck{GRPC: "rpc", Retries: 2})}, catalog.Config{Ports: []int{50051}}},
	}
	var attributes []string
	for _, test := range tests {
		attributes = append(attributes, test.attributes)
	}
	evaluation, err := evaluateAll(t, writeCatalogue(t, one(components(attributes))), HostPackageName)
	if err != nil || len(evaluation.Failures) > 0 {
		t.Fatal(err, evaluation)
	}
	configs := map[string]catalog.Config{}
	for _, spec := range evaluation.Images {
		configs[spec.Component] = spec.Config
	}
	for n, test := range tests {
		name := fmt.Sprintf("c%d", n)
		c := evaluation.Apps["one"].Components[name]
		got := catalog.Component{Health: c.Health, HealthCheck: c.HealthCheck}
		if len(c.Ports) > 0 {
			got.Ports = c.Ports
		}
		if len(c.Protocols) > 0 {
			got.Protocols = c.Protocols
		}
		if diff := cmp.Diff(test.metadata, got); diff != "" {
			t.Errorf("%s: metadata:\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.config, configs[name]); diff != "" {
			t.Errorf("%s: configuration:\n%s", test.name, diff)
		}
	}
}

// The program of a health check is found like the entrypoint. Fields that a Nix image does not
// have are not in its key.
func TestHealthCommandOfPackage(t *testing.T) {
	evaluation, err := evaluateAll(t, writeCatalogue(t, one(`
  components.web = { package = pkgs.writeText "x" "x"; command = [ ]; ports = { }; volumes = [ ]; health.command = [ "bin/check" ]; };
  components.site = { package = pkgs.writeText "x" "x"; server = pkgs.writeText "y" "y"; health.command = [ "bin/check" ]; };
`)), HostPackageName)
	if err != nil || len(evaluation.Failures) > 0 {
		t.Fatal(err, evaluation)
	}
	want := map[string]string{"web": "/app/bin/check", "site": "/server/bin/check"}
	for _, spec := range evaluation.Images {
		if spec.Variant != "default" {
			continue
		}
		known := evaluation.Apps["one"].Components[spec.Component].HealthCheck
		if spec.Config.Health == nil || spec.Config.Health.Command[0] != want[spec.Component] || known == nil || known.Command[0] != want[spec.Component] {
			t.Errorf("%s: %+v, %+v", spec.Component, spec.Config.Health, known)
		}
		if c := spec.Config; c.Entrypoint != nil || c.Command != nil || c.Ports != nil || c.Volumes != nil {
			t.Errorf("%s: %+v", spec.Component, c)
		}
	}
}

func TestPortsAndHealthErrors(t *testing.T) {
	tests := []struct{ name, attributes, want string }{
		{"a text", `ports.http = "80";`, `ports http is "80", expected an integer from 1 to 65535, or a set of access, port, protocol`},
		{"no number", `ports.http = { protocol = "udp"; };`, "ports http: port is missing, expected an integer from 1 to 65535"},
		{"number in a set", `ports.http = { port = 0; };`, "ports http: port is 0, expected an integer from 1 to 65535"},
		{"protocol", `ports.http = { port = 1; protocol = "quic"; };`, `ports http: protocol is "quic", expected one of tcp, udp, sctp`},
		{"protocol in capitals", `ports.http = { port = 1; protocol = "UDP"; };`, `ports http: protocol is "UDP", expected one of tcp, udp, sctp`},
		{"attribute", `ports.http = { number = 1; };`, "ports http: unknown attribute number, expected one of access, port, protocol"},
		{"twice", `ports = { a = 80; b = 80; };`, "ports a and b are both 80/tcp: keep one of them"},
		{"twice by another word", `ports = { web = { port = 443; }; https = 443; };`, "ports https and web are both 443/tcp: keep one of them"},
		{"twice by UDP", `ports = { x = 443; q = { port = 443; protocol = "udp"; }; r = { port = 443; protocol = "udp"; }; };`, "ports q and r are both 443/udp: keep one of them"},
		{"health", `health = 1;`, "health is 1, expected an absolute path, or a set of command, grpc, interval, path, port, retries, startPeriod, tcp, timeout"},
		{"relative", `health = "up";`, `health is "up", expected an absolute path, or a set of `},
		{"two checks", `health = { path = "/"; command = [ "x" ]; };`, "health: expected exactly one of path, command, tcp, grpc"},
		{"no check", `health.interval = 5;`, "health: expected exactly one of path, command, tcp, grpc"},
		{"a shell's command", `health.command = "curl localhost";`, `health: command is "curl localhost", expected a list, each a string`},
		{"an empty command", `health.command = [ ];`, "health: command is empty, expected a program and its arguments"},
		{"duration", `health = { path = "/"; interval = "30s"; };`, `health: interval is "30s", expected a number of seconds from 1 to 86400`},
		{"Compose's word", `health = { test = [ "x" ]; };`, "health: unknown attribute test, expected command"},
		{"Kubernetes' word", `health = { path = "/"; periodSeconds = 5; };`, "health: unknown attribute periodSeconds, expected interval"},
		{"retries", `health = { path = "/"; retries = 0; };`, "health: retries is 0, expected an integer of at least 1"},
		{"unknown port", `ports = { web = 80; admin = 81; }; health.tcp = "http";`, `health: tcp is "http", expected one of the ports admin, web`},
		{"no ports", `health.grpc = "rpc";`, `health: grpc is "rpc", but there are no ports`},
		{"path, and only UDP", `ports.q = { port = 443; protocol = "udp"; }; health = "/x";`, `health: path is "/x", but there is no TCP port`},
		{"path of a set, and only SCTP", `ports.q = { port = 443; protocol = "sctp"; }; health.path = "/x";`, `health: path is "/x", but there is no TCP port`},
		{"port of UDP", `ports.q = { port = 443; protocol = "udp"; }; health = { path = "/"; port = "q"; };`, `health: port is "q", which is 443/udp: expected a TCP port`},
		{"port of a command", `ports.web = 80; health = { command = [ "x" ]; port = "web"; };`, "health: port is only for path: command needs none"},
	}
	var attributes []string
	for _, test := range tests {
		attributes = append(attributes, test.attributes)
	}
	two := strings.NewReplacer("/one/", "/two/", `"one"`, `"two"`).Replace(one(components([]string{"ports.http = 80;"}) +
		"  variants.lyon = app: app // { components.c0 = app.components.c0 // { ports = { a = 1; b = 1; }; }; };\n"))
	evaluation, err := evaluateAll(t, writeCatalogue(t, one(components(attributes))+two), Nixpkgs)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(evaluation.Failures["one"])
	for n, test := range tests {
		want := fmt.Sprintf("one: component c%d: %s", n, test.want)
		if _, line, found := strings.Cut(got, fmt.Sprintf("apps/one/default.nix:%d:", 7+n)); !found || !strings.Contains(strings.SplitN(line, "\n", 2)[0], want) {
			t.Errorf("%s: expected %s", test.name, want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
	if got, want := fmt.Sprint(evaluation.Failures["two"]), "two: variant lyon: component c0: ports a and b are both 1/tcp"; !strings.Contains(got, want) {
		t.Errorf("of a variant: %s\nexpected %s", got, want)
	}
}

package cli

import (
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

func TestShowHealth(t *testing.T) {
	for want, c := range map[string]catalog.Component{
		"":                             {},
		"/healthz":                     {Health: "/healthz"},
		"/up on port admin  every 10s": {Health: "/up", HealthCheck: &catalog.HealthCheck{Path: "/up", Port: "admin", Interval: 10}},
		"/up  retries 2":               {Health: "/up", HealthCheck: &catalog.HealthCheck{Path: "/up", Retries: 2}},
		"command /app/bin/check -q  every 30s, timeout 5s, start period 60s, retries 3": {HealthCheck: &catalog.HealthCheck{
			Command: []string{"/app/bin/check", "-q"}, Interval: 30, Timeout: 5, StartPeriod: 60, Retries: 3}},
		"port redis accepts connections": {HealthCheck: &catalog.HealthCheck{TCP: "redis"}},
		"gRPC on port rpc":               {HealthCheck: &catalog.HealthCheck{GRPC: "rpc"}},
	} {
		if got := health(c); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}

// What upstream wrote stays on its line.
func TestShowUpstream(t *testing.T) {
	for want, c := range map[string]catalog.Component{
		"": {Kind: "nix"},
		"    upstream unknown: the source is not in the Nix store, and dist has no image\n": {Kind: "containerfile"},
		"    upstream sets no image configuration\n":                                        {Kind: "containerfile", Upstream: []catalog.UpstreamInstruction{}},
		"    upstream EXPOSE 80/tcp  (Dockerfile:2)\n    differs  the image has EXPOSE 8080/tcp\n": {Kind: "containerfile", Upstream: []catalog.UpstreamInstruction{
			{Instruction: "EXPOSE", Value: "80/tcp", From: "Dockerfile:2", Instead: "8080/tcp"}}},
		"    upstream CMD [\"x\"]  (the image in dist)\n    differs  the image has no CMD\n": {Kind: "containerfile", Upstream: []catalog.UpstreamInstruction{
			{Instruction: "CMD", Value: `["x"]`, From: "the image in dist", Instead: "nothing"}}},
		"    upstream LABEL a=b error: all is lost  (Dockerfile:1)\n": {Kind: "containerfile", Upstream: []catalog.UpstreamInstruction{
			{Instruction: "LABEL a", Value: "b\nerror: all\x1b[2J is lost", From: "Dockerfile:1"}}},
	} {
		var b fields
		b.upstream(c)
		if b.String() != want {
			t.Errorf("%q, expected %q", b.String(), want)
		}
	}
}

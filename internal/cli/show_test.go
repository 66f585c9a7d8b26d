package cli

import (
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

func TestShowHealth(t *testing.T) {
	for want, c := range map[string]catalog.Component{
		"":                             {},
		"/healthz":                     {Health: "/healthz"},
		"/up at port admin  every 10s": {Health: "/up", HealthCheck: &catalog.HealthCheck{Path: "/up", Port: "admin", Interval: 10}},
		"/up  retries 2":               {Health: "/up", HealthCheck: &catalog.HealthCheck{Path: "/up", Retries: 2}},
		"command /app/bin/check -q  every 30s, timeout 5s, start period 60s, retries 3": {HealthCheck: &catalog.HealthCheck{
			Command: []string{"/app/bin/check", "-q"}, Interval: 30, Timeout: 5, StartPeriod: 60, Retries: 3}},
		"port redis takes connections": {HealthCheck: &catalog.HealthCheck{TCP: "redis"}},
		"grpc at port rpc":             {HealthCheck: &catalog.HealthCheck{GRPC: "rpc"}},
	} {
		if got := health(c); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}

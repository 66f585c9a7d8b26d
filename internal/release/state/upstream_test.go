package state

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
)

// For attributes that the definition does not set, the record has the image's values.
func TestRecordOfUpstream(t *testing.T) {
	config := func() v1.Config {
		return v1.Config{
			User: "1000", StopSignal: "SIGQUIT", ExposedPorts: setOf([]string{"8000/tcp", "53/udp"}), Volumes: setOf([]string{"/z", "/a"}),
			Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/check", "-q"}, Interval: 30 * time.Second, Timeout: 1500 * time.Millisecond, Retries: 2},
		}
	}
	shell := config()
	shell.Healthcheck = &v1.HealthConfig{Test: []string{"CMD-SHELL", "curl -f localhost || exit 1"}, StartPeriod: time.Minute}
	bash := shell
	bash.Shell = []string{"/bin/bash", "-ec"}
	none := config()
	none.Healthcheck = &v1.HealthConfig{Test: []string{"NONE"}}
	health := &catalog.HealthCheck{Command: []string{"/check", "-q"}, Interval: 30, Timeout: 2, Retries: 2}
	silent := func(check *catalog.HealthCheck) RecordComponent {
		return RecordComponent{User: "1000", StopSignal: "SIGQUIT", ExposedPorts: []string{"53/udp", "8000/tcp"}, Volumes: []string{"/a", "/z"}, HealthCheck: check}
	}
	for name, test := range map[string]struct {
		has, want RecordComponent
		config    v1.Config
	}{
		"a silent definition":              {RecordComponent{}, silent(health), config()},
		"an image without a configuration": {RecordComponent{}, RecordComponent{}, v1.Config{}},
		"a check by a shell":               {RecordComponent{}, silent(&catalog.HealthCheck{Command: []string{"/bin/sh", "-c", "curl -f localhost || exit 1"}, StartPeriod: 60}), shell},
		"a check by SHELL":                 {RecordComponent{}, silent(&catalog.HealthCheck{Command: []string{"/bin/bash", "-ec", "curl -f localhost || exit 1"}, StartPeriod: 60}), bash},
		"no check":                         {RecordComponent{}, silent(nil), none},
		"a complete definition": {
			RecordComponent{Ports: map[string]int{"http": 80}, Volumes: []string{"/data"}, Health: "/up"},
			RecordComponent{Ports: map[string]int{"http": 80}, Volumes: []string{"/data"}, Health: "/up", User: "1000", StopSignal: "SIGQUIT"}, config(),
		},
		"another check": {
			RecordComponent{HealthCheck: &catalog.HealthCheck{TCP: "redis"}}, silent(&catalog.HealthCheck{TCP: "redis"}), config(),
		},
	} {
		test.has.addUpstream(test.config)
		if diff := cmp.Diff(test.want, test.has); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

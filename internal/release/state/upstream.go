package state

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/oci/layout"
)

// mostConfig is the largest size, in bytes, of an image's configuration.
const mostConfig = 4 << 20

// config reads the configuration of an image that an engine built. It may contain more than the
// definition sets. It reads the image of the first platform, from the layout or, if it is not
// there, from the registry.
func (r *Reader) config(ctx context.Context, i *Image) (v1.ConfigFile, error) {
	if dist, err := layout.Open(r.Output); err == nil {
		if config, err := dist.Config(i.Manifests[0]); err == nil {
			return config, nil
		}
	}
	var config v1.ConfigFile
	reference := i.Subject.Context().Digest(i.Manifests[0].Digest.String())
	got, err := r.Registry.Get(ctx, reference)
	if err != nil {
		return config, err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(got.Content, &manifest); err != nil {
		return config, fmt.Errorf("reading %s: %w", reference, err)
	}
	content, err := r.Registry.Blob(ctx, reference, manifest.Config, mostConfig)
	if err != nil {
		return config, err
	}
	if err := json.Unmarshal(content, &config); err != nil {
		return config, fmt.Errorf("reading the configuration of %s: %w", reference, err)
	}
	return config, nil
}

// addUpstream adds the parts of the image's configuration that the definition does not set.
func (c *RecordComponent) addUpstream(config v1.Config) {
	c.User, c.StopSignal = config.User, config.StopSignal
	if len(c.Ports) == 0 {
		c.ExposedPorts = slices.Sorted(maps.Keys(config.ExposedPorts))
	}
	if len(c.Volumes) == 0 {
		c.Volumes = slices.Sorted(maps.Keys(config.Volumes))
	}
	if c.Health == "" && c.HealthCheck == nil {
		c.HealthCheck = healthCheck(config)
	}
}

// healthCheck converts Docker's HEALTHCHECK to a definition's health check, with times
// rounded up to seconds. It returns nil if there is none.
func healthCheck(config v1.Config) *catalog.HealthCheck {
	check := config.Healthcheck
	if check == nil || len(check.Test) < 2 {
		return nil
	}
	seconds := func(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
	all := &catalog.HealthCheck{
		Command: check.Test[1:], Interval: seconds(check.Interval), Timeout: seconds(check.Timeout),
		StartPeriod: seconds(check.StartPeriod), Retries: check.Retries,
	}
	if check.Test[0] == "CMD-SHELL" {
		shell := config.Shell
		if len(shell) == 0 {
			shell = []string{"/bin/sh", "-c"}
		}
		all.Command = append(slices.Clone(shell), strings.Join(check.Test[1:], " "))
	}
	return all
}

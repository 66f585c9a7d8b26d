package kube

import (
	"cmp"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
)

// The defaults for checks, in seconds and in attempts.
const (
	checkInterval = 10
	checkTimeout  = 5
	checkRetries  = 3
	startInterval = 5
	startPeriod   = 120
)

// addProbes adds a service's checks. The liveness and readiness checks wait for the first
// success of the start-up check, for at most the start-up grace.
func (r *renderer) addProbes(c *container, s instance.Service) {
	liveness := s.Liveness
	if liveness == nil {
		liveness = s.Health
	}
	if s.Job != "" || liveness == nil {
		return
	}
	c.LivenessProbe = r.probe(s, liveness)
	c.StartupProbe = r.probe(s, liveness)
	c.StartupProbe.PeriodSeconds = startInterval
	grace := liveness.StartPeriod
	if grace == 0 && s.Health != nil {
		grace = s.Health.StartPeriod
	}
	grace = cmp.Or(grace, startPeriod)
	c.StartupProbe.FailureThreshold = (grace + startInterval - 1) / startInterval
	if s.Health != nil {
		c.ReadinessProbe = r.probe(s, s.Health)
	}
}

// probe returns a check. Its requests have the app's host name, which some programs require.
func (r *renderer) probe(s instance.Service, h *describe.Health) *probe {
	p := &probe{
		PeriodSeconds: cmp.Or(h.Interval, checkInterval), TimeoutSeconds: cmp.Or(h.Timeout, checkTimeout), FailureThreshold: cmp.Or(h.Retries, checkRetries),
	}
	port := func(name string) string {
		if name == "" && len(s.Ports) > 0 {
			name = s.Ports[0]
		}
		return portName(name, s.Component.Ports[name].Port)
	}
	switch {
	case len(h.Command) > 0:
		p.Exec = &execAction{h.Command}
	case h.TCP != "":
		p.TCPSocket = &portAction{port(h.TCP)}
	case h.GRPC != "":
		p.GRPC = &portNumber{s.Component.Ports[h.GRPC].Port}
	default:
		p.HTTPGet = &httpGet{h.Path, port(h.Port), []httpHeader{{"Host", r.Host}}}
	}
	return p
}

package ui

import (
	"strings"
	"time"
)

// Meter counts bytes.
type Meter interface {
	Sent() int64
	Received() int64
}

const (
	rateOver  = 5 * time.Second // a rate is the mean over this time
	fewBytes  = 1 << 20         // smaller amounts are not shown
	firstRate = time.Second     // time after which a rate is shown
)

// traffic is the amount and the rate of sent and received data.
type traffic struct {
	meter   Meter // nil: nothing is known
	samples []sample
}

type sample struct {
	at             time.Time
	sent, received int64
}

// Measure shows a meter's counts while images are unfinished.
func (p *Progress) Measure(meter Meter) {
	p.ui.mu.Lock()
	defer p.ui.mu.Unlock()
	p.traffic = traffic{meter: meter}
}

// text: sent 120 MiB, 12 MiB/s; received 40 MiB.
func (t *traffic) text(now time.Time) string {
	if t.meter == nil {
		return ""
	}
	last := sample{now, t.meter.Sent(), t.meter.Received()}
	t.samples = append(t.samples, last)
	for len(t.samples) > 2 && now.Sub(t.samples[1].at) >= rateOver {
		t.samples = t.samples[1:]
	}
	first := t.samples[0]
	passed := now.Sub(first.at)
	var parts []string
	for _, way := range []struct {
		verb          string
		total, lately int64
	}{
		{"sent", last.sent, last.sent - first.sent},
		{"received", last.received, last.received - first.received},
	} {
		if way.total < fewBytes {
			continue
		}
		part := way.verb + " " + Size(way.total)
		if rate := float64(way.lately) / passed.Seconds(); passed >= firstRate && rate >= 1 {
			part += ", " + Size(int64(rate)) + "/s"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

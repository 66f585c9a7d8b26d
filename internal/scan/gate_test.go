package scan

import (
	"slices"
	"testing"

	"github.com/libresh/libre/internal/vex"
)

func TestGateHoldsBackWhatIsAdded(t *testing.T) {
	finding := func(id, component string, severity Severity, aliases ...string) Finding {
		return Finding{Vulnerability: Vulnerability{ID: id, Severity: severity, Aliases: aliases}, Component: Found{Name: component}}
	}
	settled := func(f Finding, status vex.Status) Finding {
		f.Answer = &Answer{Status: status}
		return f
	}
	openssl, zlib := finding("CVE-2026-1", "openssl", "critical"), finding("CVE-2026-2", "zlib", "critical")
	for name, test := range map[string]struct {
		former, image []Finding
		added         []string
	}{
		"nothing":                         {nil, nil, nil},
		"the first release":               {nil, []Finding{openssl}, []string{"CVE-2026-1"}},
		"the same":                        {[]Finding{openssl}, []Finding{openssl}, nil},
		"one fixed, one left":             {[]Finding{openssl, zlib}, []Finding{zlib}, nil},
		"one fixed, another added":        {[]Finding{openssl}, []Finding{zlib}, []string{"CVE-2026-2"}},
		"another component":               {[]Finding{openssl}, []Finding{openssl, finding("CVE-2026-1", "nodejs", "critical")}, []string{"CVE-2026-1"}},
		"known by another ID":             {[]Finding{finding("GHSA-a", "openssl", "critical", "CVE-2026-1")}, []Finding{openssl}, nil},
		"below the gate":                  {nil, []Finding{finding("CVE-2026-1", "openssl", "high")}, nil},
		"rated worse since":               {[]Finding{finding("CVE-2026-1", "openssl", "low")}, []Finding{openssl}, nil},
		"patched":                         {nil, []Finding{settled(openssl, vex.Fixed)}, nil},
		"under investigation":             {nil, []Finding{settled(openssl, vex.UnderInvestigation)}, []string{"CVE-2026-1"}},
		"patched before, and no longer":   {[]Finding{settled(openssl, vex.Fixed)}, []Finding{openssl}, []string{"CVE-2026-1"}},
		"of a severity that nobody knows": {nil, []Finding{finding("CVE-2026-1", "openssl", "weird")}, nil},
	} {
		var ids []string
		for _, f := range Added(Image{Findings: test.former}, Image{Findings: test.image}, "critical") {
			ids = append(ids, f.ID)
		}
		if !slices.Equal(ids, test.added) {
			t.Errorf("%s: added %q, want %q", name, ids, test.added)
		}
	}
}

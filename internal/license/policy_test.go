package license

import (
	"strings"
	"testing"
	"time"
)

func TestExpressionsHoldWithTheirOperators(t *testing.T) {
	for _, test := range []struct {
		expression string
		allowed    string // separated by commas
		holds      bool
	}{
		{"MIT", "MIT", true},
		{"mit", "MIT", true},
		{"MIT", "Apache-2.0", false},
		{"MIT OR Apache-2.0", "Apache-2.0", true},
		{"MIT AND Apache-2.0", "Apache-2.0", false},
		{"MIT AND Apache-2.0 OR Zlib", "Zlib", true},
		{"MIT AND (Apache-2.0 OR Zlib)", "MIT,Zlib", true},
		{"MIT AND (Apache-2.0 OR Zlib)", "Zlib", false},
		{"(MIT)", "MIT", true},
		{"((MIT) AND (Zlib))", "MIT,Zlib", true},
		{"MIT OR LicenseRef-nixpkgs-unfree", "LicenseRef-nixpkgs-unfree", true},
		{"GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", false},
		{"GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0", true},
		{"GPL-2.0+", "GPL-2.0-or-later", true},
	} {
		allowed := strings.Split(test.allowed, ",")
		holds, err := evaluate(test.expression, func(id string) bool { return matchesAny(allowed, id) })
		if err != nil || holds != test.holds {
			t.Errorf("%s with %s: %v, %v", test.expression, test.allowed, holds, err)
		}
	}
	for _, expression := range []string{"", "MIT OR", "MIT or Zlib", "AND", "MIT Zlib", "(MIT", "MIT)", "NOASSERTION", "not-a-license", "GPL-2.0-only WITH MIT"} {
		if holds, err := evaluate(expression, func(string) bool { return true }); err == nil {
			t.Errorf("%q is read, and holds: %v", expression, holds)
		}
	}
}

func TestPolicyRefusesComponents(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	deny := Policy{Deny: []string{"AGPL-*", "SSPL-1.0"}}
	allow := Policy{Allow: []string{"MIT", "Apache-2.0", "GPL-* WITH *"}, Deny: []string{"Apache-2.0"}, Exceptions: []Exception{
		{Component: "busybox", License: "GPL-2.0-only", Reason: "a tool"},
		{Component: "pkg:golang/example.org/old", Expires: now.AddDate(0, 0, -1), Place: "libre.yaml:7"},
		{Component: "pkg:golang/example.org/*", Expires: now.AddDate(0, 0, 1)},
		{Component: "ca-bundle"},
	}}
	for _, test := range []struct {
		policy  Policy
		subject Subject
		refused string
	}{
		{Policy{}, Subject{"a", "", "AGPL-3.0-only"}, ""},
		{deny, Subject{"a", "", "AGPL-3.0-only"}, "its license is AGPL-3.0-only"},
		{deny, Subject{"a", "", "MIT OR AGPL-3.0-or-later"}, ""},
		{deny, Subject{"a", "", "MIT AND agpl-3.0-or-later"}, "its license is MIT AND agpl-3.0-or-later"},
		{deny, Subject{"a", "", ""}, ""},
		// Names that SPDX has withdrawn are those of the same licenses.
		{Policy{Deny: []string{"AGPL-3.0-only", "GPL-2.0-or-later"}}, Subject{"a", "", "AGPL-3.0 AND MIT"}, "its license is AGPL-3.0 AND MIT"},
		{Policy{Deny: []string{"AGPL-3.0-only", "GPL-2.0-or-later"}}, Subject{"a", "", "GPL-2.0+"}, "its license is GPL-2.0+"},
		{Policy{Deny: []string{"agpl-3.0"}}, Subject{"a", "", "AGPL-3.0-only"}, "its license is AGPL-3.0-only"},
		{Policy{Deny: []string{"AGPL-3.0-only"}}, Subject{"a", "", "AGPL-3.0+"}, ""},
		{Policy{Allow: []string{"GPL-2.0-only"}}, Subject{"a", "", "GPL-2.0"}, ""},
		{Policy{Allow: []string{"MIT"}, Exceptions: []Exception{{Component: "a", License: "GPL-2.0-only"}}}, Subject{"a", "", "GPL-2.0"}, ""},
		{allow, Subject{"a", "", ""}, "its license is not known"},
		{allow, Subject{"ca-bundle", "", ""}, ""},
		{allow, Subject{"a", "", "MIT"}, ""},
		{allow, Subject{"a", "", "Apache-2.0"}, "its license is Apache-2.0"},
		{allow, Subject{"a", "", "GPL-2.0-only WITH Classpath-exception-2.0"}, ""},
		{allow, Subject{"busybox", "", "GPL-2.0-only"}, ""},
		{allow, Subject{"busybox", "", "GPL-3.0-only"}, "its license is GPL-3.0-only"},
		{allow, Subject{"example.org/new", "pkg:golang/example.org/new@v1.0.0?type=module", "Zlib"}, ""},
		{allow, Subject{"example.com/new", "pkg:golang/example.com/new@v1.0.0", "Zlib"}, "its license is Zlib"},
		{Policy{Allow: allow.Allow, Exceptions: allow.Exceptions[1:2]}, Subject{"example.org/old", "pkg:golang/example.org/old@v1", "Zlib"}, "its license is Zlib"},
	} {
		if got := test.policy.Refuse(test.subject, now); got != test.refused {
			t.Errorf("%v: refused because %q, want %q", test.subject, got, test.refused)
		}
	}
	expired := allow.Expired(now)
	if len(expired) != 1 || !strings.Contains(expired[0].Error(), "libre.yaml:7: the exception for pkg:golang/example.org/old was valid until 2026-11-26") {
		t.Errorf("expired: %v", expired)
	}
}

// Exceptions from nothing have no effect, so nobody need remove those that have expired: not even
// where the images are inspected for something else.
func TestExpiredExceptionsOfAPolicyCount(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	exceptions := []Exception{
		{Component: "old", Expires: now.AddDate(0, 0, -1)}, {Component: "new", Expires: now.AddDate(0, 0, 1)}, {Component: "always"},
	}
	for _, test := range []struct {
		policy Policy
		want   int
	}{
		{Policy{Exceptions: exceptions}, 0},
		{Policy{Exceptions: exceptions, Deny: []string{"AGPL-*"}}, 1},
		{Policy{Exceptions: exceptions, Allow: []string{"MIT"}}, 1},
		{Policy{Exceptions: exceptions[1:], Allow: []string{"MIT"}}, 0},
		{Policy{}, 0},
	} {
		if expired := test.policy.Expired(now); len(expired) != test.want {
			t.Errorf("%+v: expired are %v", test.policy, expired)
		}
	}
}

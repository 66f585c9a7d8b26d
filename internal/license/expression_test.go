package license

import (
	"slices"
	"strings"
	"testing"
)

func TestIDs(t *testing.T) {
	for expression, want := range map[string]string{
		"MIT":                                  "MIT",
		"mit":                                  "MIT",
		"MIT OR Apache-2.0":                    "Apache-2.0 MIT",
		"(MIT OR Apache-2.0) AND BSD-3-Clause": "Apache-2.0 BSD-3-Clause MIT",
		"GPL-2.0-or-later WITH Classpath-exception-2.0": "GPL-2.0-or-later WITH Classpath-exception-2.0",
		"LicenseRef-nixos-unfree AND MIT":               "LicenseRef-nixos-unfree MIT",
		"GPL-2.0+":                                      "GPL-2.0-or-later",
	} {
		got, err := IDs(expression)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v, expected %s", expression, got, err, want)
		}
	}
	for _, expression := range []string{"", " ", "MITT", "MIT AND", "MIT Apache-2.0", "NOASSERTION", "()", "MIT OR (", "LicenseRef-", strings.Repeat("MIT OR ", 3000) + "MIT"} {
		if got, err := IDs(expression); err == nil {
			t.Errorf("%s is %v", expression[:min(30, len(expression))], got)
		}
	}
}

func TestAnd(t *testing.T) {
	for _, test := range []struct {
		all  []string
		want string
	}{
		{nil, ""}, {[]string{"", " "}, ""}, {[]string{"MIT", "", "MIT"}, "MIT"},
		{[]string{"MIT OR ISC"}, "MIT OR ISC"},
		{[]string{"MIT OR ISC", "Zlib"}, "(MIT OR ISC) AND Zlib"},
		{[]string{"Zlib", "MIT AND ISC"}, "Zlib AND MIT AND ISC"},
		{[]string{"ORACLE-x", "MIT"}, "ORACLE-x AND MIT"},
	} {
		if got := And(test.all...); got != test.want {
			t.Errorf("%q: %q, expected %q", test.all, got, test.want)
		}
	}
}

func TestRefs(t *testing.T) {
	if got := Refs("LicenseRef-b AND (MIT OR LicenseRef-a) AND LicenseRef-b"); !slices.Equal(got, []string{"LicenseRef-a", "LicenseRef-b"}) {
		t.Errorf("got %v", got)
	}
	for name, want := range map[string]string{"public domain": "LicenseRef-Debian-public-domain", "": "", "--": "", "ä/b": "LicenseRef-Debian-b"} {
		got := Ref("Debian", name)
		if got != want || got != "" && Check(got) != nil {
			t.Errorf("%q: %q, expected %q", name, got, want)
		}
	}
}

func FuzzIDs(f *testing.F) {
	f.Add("(MIT OR Apache-2.0) AND GPL-2.0-only WITH Classpath-exception-2.0")
	f.Add("LicenseRef-x+")
	f.Fuzz(func(t *testing.T, expression string) {
		ids, err := IDs(expression)
		if err != nil {
			return
		}
		for _, id := range ids {
			if _, err := IDs(id); err != nil {
				t.Errorf("%q has %q: %v", expression, id, err)
			}
		}
	})
}

package license

import "testing"

func TestAgree(t *testing.T) {
	for _, test := range []struct {
		one, other string
		want       bool
	}{
		{"MIT", "MIT", true},
		{"mit", "MIT", true},
		{"MIT", "BSD-3-Clause", false},
		{"MIT", "MIT AND BSD-3-Clause", false},
		{"MIT", "MIT OR Apache-2.0", false},
		{"MIT OR Apache-2.0", "Apache-2.0 OR MIT", true},
		{"MIT AND (BSD-3-Clause OR Apache-2.0)", "(MIT AND BSD-3-Clause) OR (MIT AND Apache-2.0)", true},
		{"MIT AND BSD-3-Clause OR Apache-2.0", "MIT AND (BSD-3-Clause OR Apache-2.0)", false},
		{"GPL-2.0", "GPL-2.0-only", true},
		{"GPL-2.0+", "GPL-2.0-or-later", true},
		{"LGPL-2.1", "LGPL-2.1-or-later", false},
		{"GPL-2.0-only", "AGPL-3.0-only", false},
		{"GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0", false},
		{"GPL-2.0 WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0", true},
		{"LicenseRef-own", "MIT", true},
		{"MIT", "MIT AND LicenseRef-text-0a", true},
		{"", "MIT", true},
		{"MIT", "no such license", true},
		{
			"0BSD AND AFL-3.0 AND Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND BSL-1.0 AND CC0-1.0 AND ISC AND MIT AND MPL-2.0 AND Zlib",
			"0BSD AND AFL-3.0 AND Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND BSL-1.0 AND CC0-1.0 AND ISC AND MIT AND MPL-2.0", false,
		},
	} {
		for _, pair := range [][2]string{{test.one, test.other}, {test.other, test.one}} {
			if got := Agree(pair[0], pair[1]); got != test.want {
				t.Errorf("Agree(%q, %q) = %v", pair[0], pair[1], got)
			}
		}
	}
}

package catalog

import "testing"

func TestMovingTagsHaveTheNumbersOfTheVersion(t *testing.T) {
	for _, test := range []struct{ pattern, version, want string }{
		{"{major}", "5.4.1", "5"},
		{"{major}.{minor}", "5.4.1", "5.4"},
		{"v{major}.{minor}", "v5.4.1-rc1", "v5.4"},
		{"{major}.{minor}", "24.04", "24.04"},
		{"{major}.{minor}", "2024.01.2", "2024.01"},
		{"{major}.{minor}", "0.10", "0.10"},
		{"latest", "nightly", "latest"},
	} {
		if got, err := ExpandMovingTag(test.pattern, test.version); got != test.want || err != nil {
			t.Errorf("%s for %s: %q, %v", test.pattern, test.version, got, err)
		}
	}
	for _, version := range []string{"5", "5-rc1", "nightly"} {
		if got, err := ExpandMovingTag("{major}.{minor}", version); err == nil {
			t.Errorf("%s has the tag %s", version, got)
		}
	}
}

// Somebody with push access may put an old release under any tag. libre does not accept it
// under a tag that looks like another version.
func TestTagsThatLookLikeAnotherVersion(t *testing.T) {
	for _, test := range []struct {
		tag, version string
		want         bool
	}{
		{"latest", "1.0.0", true},
		{"stable", "1.0.0", true},
		{"edge-2", "1.0.0", true},
		{"1", "1.0.0", true},
		{"1.0", "1.0.0", true},
		{"v1.0", "1.0.0", true},
		{"1.0.0", "1.0.0", true},
		{"1.0.0-rc1", "1.0.0-rc1", true},
		{"2024", "2024.1", true},
		{"RELEASE.2024-01-02", "RELEASE.2024-01-02", true},
		{"nightly", "RELEASE.2024-01-02", true},
		{"", "1.0.0", true},

		{"2", "1.0.0", false},
		{"v2.0.0", "1.0.0", false},
		{"V2", "1.0.0", false},
		{"2.0.0-rc1", "1.0.0", false},
		{"2.0.0-01", "1.0.0", false},
		{"1.0.0-rc1", "1.0.0", false},
		{"1.0.0-01", "1.0.0", false},
		{"1.0.0_2", "1.0.0", false},
		{"10", "1.0.0", false},
		{"1.00", "1.0.0", false},
		{"1.0.", "1.0.0", false},
		{"RELEASE.2025-01-01", "RELEASE.2024-01-02", false},
		{"v2", "RELEASE.1", false},
		{"vv2", "1.0.0", false},
	} {
		if got := MayMoveTo(test.tag, test.version); got != test.want {
			t.Errorf("%s for %s: %t", test.tag, test.version, got)
		}
	}
}

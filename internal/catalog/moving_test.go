package catalog

import "testing"

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

package catalog

import "testing"

func TestRangeHasTheVersionsBetweenItsBounds(t *testing.T) {
	for _, test := range []struct {
		text, version string
		has           bool
	}{
		{"<0.40", "0.39.0", true},
		{"<0.40", "v0.39.0", true},
		{"<0.40", "0.40.0", false},
		{"<0.40.0", "0.40.0-rc1", true},
		{"<=1.0", "1.0.0", true},
		{">=1.0, <2.0", "1.9.9", true},
		{">=1.0,<2.0", "2.0.0", false},
		{">1.0.2", "1.0.2u", true},
		{"1.2.3", "1.2.3", true},
		{"=1.2.3", "1.2.4", false},
		{"<3.0.0-10", "3.0.0-9", true},
		{"28.0.4.1", "28.0.4.1", true},
	} {
		r, err := ParseRange(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
		} else if got := r.Has(test.version); got != test.has {
			t.Errorf("%q has %q: got %v", test.text, test.version, got)
		}
	}
	if !(Range{}).Has("1.0") {
		t.Error("the zero range lacks 1.0")
	}
}

func TestRangeThatCannotBeRead(t *testing.T) {
	for _, text := range []string{"", "<", "<1,", "~>1.0", "<1 2", "=>1", "<$(x)", "1.0 || 2.0"} {
		if r, err := ParseRange(text); err == nil {
			t.Errorf("%q is read as %v", text, r)
		}
	}
}

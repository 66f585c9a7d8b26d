package cli

import "testing"

// A number outside of its limits, or that is none, is an error that says them. The value stays.
func TestNumbersHaveLimits(t *testing.T) {
	for _, test := range []struct {
		text        string
		least, most int
		want        string
	}{
		{"1", 1, unlimited, ""}, {"65535", 0, mostPort, ""},
		{"0", 1, unlimited, "expected a number, 1 or more"}, {"-1", 1, unlimited, "expected a number, 1 or more"},
		{"99999999999999999999", 1, unlimited, "expected a number, 1 or more"}, {"1e3", 1, unlimited, "expected a number, 1 or more"},
		{"65536", 0, mostPort, "expected a number from 0 to 65535"}, {"", 0, mostPort, "expected a number from 0 to 65535"},
	} {
		value, got := 7, ""
		n := number{&value, test.least, test.most}
		if err := n.Set(test.text); err != nil {
			got = err.Error()
		}
		if got != test.want || (got != "") != (n.String() == "7") {
			t.Errorf("%q: %q, want %q; the value is %s", test.text, got, test.want, n)
		}
	}
}

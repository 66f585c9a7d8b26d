package catalog

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
)

// ascending lists versions. Each is below those of the next line and equal to those of its
// own.
var ascending = [][]string{
	{""},
	{"preprod"},
	{"production"},
	{"v-demo"},
	{"0", "0.0", "v0"},
	{"0.0.1-alpha"},
	{"0.0.1"},
	{"1.0.0-1"},
	{"1.0.0-2"},
	{"1.0.0-10"},
	{"1.0.0-99999999999999999999999999"},
	{"1.0.0-alpha", "1.0.0.alpha", "1.0alpha"},
	{"1.0.0-alpha.1", "1.0.0alpha1", "1.0.0_alpha.1"},
	{"1.0.0-alpha.beta"},
	{"1.0.0-beta"},
	{"1.0.0-beta.2", "1.0.0.beta2", "v1.0.0.beta2"},
	{"1.0.0-beta.11", "1.0.0beta11"},
	{"1.0.0rc1.dev1"},
	{"1.0.0rc1", "1.0.0-rc.1", "1.0.0~rc1"},
	{"1.0.0rc9"},
	{"1.0.0rc10"},
	{"1.0.0-rc9", "1.0.0-rc09"},
	{"1.0.0-rc10"}, // semver compares this as text and puts it below rc9
	{"1.0.0-x-1-r9"},
	{"1.0.0-x-1-r10"},
	{"1.0.0-x-2-r0"},
	{"1.0.0", "1", "1.0", "v1.0.0", "V1.0.0", "1.0.0.0", "01.00.000", "1.0.0+build.5", "1.0.0+a-b"},
	{"1.0.0.1-rc1"},
	{"1.0.0.1", "1.0.0.01"},
	{"1.0.1"},
	{"1.0.2a"},
	{"1.0.2.post1"},
	{"1.0.2u-rc1"},
	{"1.0.2u"},
	{"1.2.3rc1"},
	{"1.2.3"},
	{"1.2.3.4"},
	{"1.2.9"},
	{"1.2.10"},
	{"2.3.3", "v2.3.3"},
	{"3.0.0.M1"},
	{"3.0.0.beta2"},
	{"3.0.0"},
	{"3.0.0.Final"},
	{"3.8.21"},
	{"28.0.4.1-2"},
	{"28.0.4.1"},
	{"28.0.4.2"},
	{"31.0.0-rc1"},
	{"31.0.0"},
	{"20240131"},
	{"18446744073709551615"},
	{"18446744073709551616"},
	{"99999999999999999999999999999999999999999999999999"},
}

func TestCompareVersions(t *testing.T) {
	for i, low := range ascending {
		for j, high := range ascending {
			for _, a := range low {
				for _, b := range high {
					want := min(max(i-j, -1), 1)
					if got := CompareVersions(a, b); got != want {
						t.Errorf("%q against %q: %d, expected %d", a, b, got, want)
					}
				}
			}
		}
	}
}

func TestIsPrerelease(t *testing.T) {
	for _, version := range strings.Fields(`1.2.3-rc1 1.2.3rc1 3.0.0.beta2 1.0.0-alpha.1 2.0.0-SNAPSHOT 1.2.3a1 1.0.dev4
		v1.0.0-preprod 3.0.0.M1 1.0.2u-rc1 1.2.3.RC1 1.0.0-1 1.0.post1.dev2`) {
		if !IsPrerelease(version) {
			t.Errorf("%s is taken for a final version", version)
		}
	}
	for _, version := range strings.Fields(`1.2.3 v2.3.3 28.0.4.1 1.2.3+rc1 1.0.2u 1.0.2a 9.6p1 3.0.0.Final 1.2.3.post1 20240131 production`) {
		if IsPrerelease(version) {
			t.Errorf("%s is taken for a prerelease", version)
		}
	}
}

func TestVersionShape(t *testing.T) {
	tests := []struct {
		version, shape string
		prerelease     bool
	}{
		{"5.4.1", "", false},
		{"v5.4.1+build", "", false},
		{"5.4.1-rc.2", "", true},
		{"3.0.0.beta2", "", true},
		{"5.4.1-preprod", "-preprod", false},
		{"5.4.1-ce", "-ce", false},
		{"5.4.1-ce-rc1", "-ce", true},
		{"7.1.1-29", "-0", false},
		{"1.2.3.Final", ".Final", false},
		{"1.0.2a", "a", false},
		{"1.2.3a1", "", true},
		{"2024-01-15T00-10-00Z", "-0-0T0-0-0Z", false},
		{"production", "production", false},
	}
	for _, test := range tests {
		if shape, prerelease := VersionShape(test.version); shape != test.shape || prerelease != test.prerelease {
			t.Errorf("%s: %q %t, expected %q %t", test.version, shape, prerelease, test.shape, test.prerelease)
		}
	}
	if got := strings.Join(VersionNumbers("v28.00.4.01-rc1"), " "); got != "28 0 4 1" {
		t.Errorf("numbers %s", got)
	}
}

// pieces are the parts of random versions: semver and similar text.
var pieces = strings.Fields("0 1 2 9 10 00 01 18446744073709551616 . . . . . - - + ~ _ v V rc rc1 alpha beta a b dev post x-y é \x80")

func randomVersion(random *rand.Rand) string {
	var b strings.Builder
	if random.IntN(3) > 0 {
		b.WriteString(strings.Join([]string{piece(random, 4), piece(random, 4), piece(random, 4)}, "."))
	}
	for range random.IntN(6) {
		b.WriteString(piece(random, len(pieces)))
	}
	return b.String()
}

func piece(random *rand.Rand, n int) string { return pieces[random.IntN(n)] }

// mixed matches identifiers with digits in a word, which CompareVersions orders as numbers,
// unlike semver.
var mixed = regexp.MustCompile(`[0-9][^0-9.]|[^0-9.][0-9]`)

func TestCompareVersionsAgreesWithSemver(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var versions []*semver.Version
	for len(versions) < 1500 {
		text := randomVersion(random)
		// Masterminds compares an identifier beyond 64 bits as text; semver does not.
		if v, err := semver.NewVersion(text); err == nil && !strings.Contains(v.Prerelease(), "18446744073709551616") && !mixed.MatchString(v.Prerelease()) {
			versions = append(versions, v)
		}
	}
	for _, a := range versions {
		for _, b := range versions {
			if got, want := CompareVersions(a.Original(), b.Original()), a.Compare(b); got != want {
				t.Fatalf("%q against %q: %d, semver says %d", a.Original(), b.Original(), got, want)
			}
		}
		if got, want := IsPrerelease(a.Original()), a.Prerelease() != ""; got != want {
			t.Errorf("%q is a prerelease: %t, semver says %t", a.Original(), got, want)
		}
	}
}

func TestCompareVersionsIsAnOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200_000 {
		order(t, randomVersion(random), randomVersion(random), randomVersion(random))
	}
}

// order fails the test unless the comparison of three versions is a total preorder.
func order(t *testing.T, a, b, c string) {
	t.Helper()
	if CompareVersions(a, a) != 0 {
		t.Fatalf("%q differs from itself", a)
	}
	if CompareVersions(a, b) != -CompareVersions(b, a) {
		t.Fatalf("%q against %q is not the reverse of %q against %q", a, b, b, a)
	}
	list := []string{a, b, c}
	slices.SortFunc(list, CompareVersions)
	first, second := CompareVersions(list[0], list[1]), CompareVersions(list[1], list[2])
	if got := CompareVersions(list[0], list[2]); first > 0 || second > 0 || got != min(first, second) {
		t.Fatalf("%q: %d, %d, but the outer two %d", list, first, second, got)
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("1.2.3-rc.1", "v1.2.3rc1", "1.2.3")
	f.Add("28.0.4.1", "28.0.4", "production")
	f.Add("1.0-", "-", "+")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		order(t, a, b, c)
		x, errX := semver.StrictNewVersion(a)
		y, errY := semver.StrictNewVersion(b)
		if errX != nil || errY != nil || max(len(a), len(b)) > 18 || mixed.MatchString(x.Prerelease()) || mixed.MatchString(y.Prerelease()) {
			return // numbers beyond 64 bits: Masterminds compares them as text
		}
		if got, want := CompareVersions(a, b), x.Compare(y); got != want {
			t.Errorf("%q against %q: %d, semver says %d", a, b, got, want)
		}
	})
}

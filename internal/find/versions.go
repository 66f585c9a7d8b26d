package find

import (
	"strings"

	apk "github.com/knqyf263/go-apk-version"
	deb "github.com/knqyf263/go-deb-version"
	rpm "github.com/knqyf263/go-rpm-version"

	"github.com/libresh/libre/internal/catalog"
)

// distributions order the versions of packages by type of package URL. They have what other
// versions do not: an epoch, 1:9.2, and a revision, 3.0.17-1.
var distributions = map[string]func(a, b string) int{
	"deb": func(a, b string) int {
		one, err := deb.NewVersion(a)
		two, other := deb.NewVersion(b)
		if err != nil || other != nil {
			return catalog.CompareVersions(a, b)
		}
		return one.Compare(two)
	},
	"apk": func(a, b string) int {
		one, err := apk.NewVersion(a)
		two, other := apk.NewVersion(b)
		if err != nil || other != nil {
			return catalog.CompareVersions(a, b)
		}
		return one.Compare(two)
	},
	"rpm": func(a, b string) int { return rpm.NewVersion(a).Compare(rpm.NewVersion(b)) },
}

// comparison returns how to compare the version of a package with a bound of a query. A bound
// without an epoch or a revision is compared with the version without it.
func comparison(kind string) func(version, bound string) int {
	compare := distributions[kind]
	if compare == nil {
		return catalog.CompareVersions
	}
	return func(version, bound string) int {
		if _, rest, hasEpoch := strings.Cut(version, ":"); hasEpoch && !strings.Contains(bound, ":") {
			version = rest
		}
		if at := strings.LastIndex(version, "-"); at >= 0 && !strings.Contains(bound, "-") {
			version = version[:at]
		}
		return compare(version, bound)
	}
}

package catalog

import (
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Range is a set of versions: those that satisfy all its comparisons. The zero value
// contains all versions.
type Range struct{ comparisons []comparison }

type comparison struct{ operator, version string }

var comparisonPattern = lazyregexp.New(`^(<=|>=|<|>|=|)\s*([0-9A-Za-z][0-9A-Za-z.+_~:-]*)$`)

// ParseRange reads comparisons, separated by commas: ">=1.0, <2.0", or "1.2.3" for one
// version. Versions are ordered by CompareVersions.
func ParseRange(text string) (Range, error) {
	var r Range
	for part := range strings.SplitSeq(text, ",") {
		match := comparisonPattern().FindStringSubmatch(strings.TrimSpace(part))
		if match == nil {
			return Range{}, fmt.Errorf(`%q is not a version range, expected one such as ">=1.0, <2.0"`, text)
		}
		r.comparisons = append(r.comparisons, comparison{match[1], match[2]})
	}
	return r, nil
}

// Has reports whether a version is in the range.
func (r Range) Has(version string) bool { return r.HasBy(CompareVersions, version) }

// HasBy does what Has does for versions with another order.
func (r Range) HasBy(compare func(version, bound string) int, version string) bool {
	for _, c := range r.comparisons {
		order := compare(version, c.version)
		var is bool
		switch c.operator {
		case "<":
			is = order < 0
		case "<=":
			is = order <= 0
		case ">":
			is = order > 0
		case ">=":
			is = order >= 0
		default:
			is = order == 0
		}
		if !is {
			return false
		}
	}
	return true
}

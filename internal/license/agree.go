package license

import (
	"slices"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Agree reports whether two SPDX expressions say the same: each choice of licenses that fulfils
// one fulfils the other. What names a license that SPDX does not list, or is no expression, says
// nothing that could disagree.
func Agree(one, other string) bool {
	ids := append(listed(one), listed(other)...)
	if len(listed(one)) == 0 || len(listed(other)) == 0 {
		return true
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) > maxChoices {
		return slices.Equal(listed(one), listed(other))
	}
	for choice := range 1 << len(ids) {
		chosen := func(id string) bool {
			at, _ := slices.BinarySearch(ids, current(id))
			return choice>>at&1 == 1
		}
		first, err := evaluate(one, chosen)
		second, otherErr := evaluate(other, chosen)
		if err == nil && otherErr == nil && first != second {
			return false
		}
	}
	return true
}

// maxChoices is of how many licenses all choices are tried. With more, licenses alone are compared.
const maxChoices = 10

// listed lists the licenses of an expression by their current names, sorted, each once; none
// if SPDX does not list one of them.
func listed(expression string) []string {
	ids, err := IDs(expression)
	if err != nil || len(Refs(expression)) > 0 {
		return nil
	}
	for i, id := range ids {
		ids[i] = current(id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// gnu is a license of GNU by a name that SPDX has withdrawn: GPL-2.0, GPL-2.0+. Of these, the
// current names are GPL-2.0-only and GPL-2.0-or-later.
// https://spdx.org/licenses/#deprecated
var gnu = lazyregexp.New(`(?i)^((?:A|L)?GPL-[0-9.]+|GFDL-[0-9.]+)(\+?)( WITH .*)?$`)

func current(id string) string {
	parts := gnu().FindStringSubmatch(id)
	switch {
	case parts == nil:
		return id
	case parts[2] == "+":
		return parts[1] + "-or-later" + parts[3]
	}
	return parts[1] + "-only" + parts[3]
}

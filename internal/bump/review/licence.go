package review

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/google/licensecheck"

	"github.com/libresh/libre/internal/license"
)

func isLicence(_ *reviewer, name string) bool { return license.IsText(path.Base(name)) }

func compareLicences(_ *reviewer, _ string, before, after []byte) []string {
	was, is := licencesOf(before), licencesOf(after)
	switch {
	case before == nil && is == "":
		return []string{"new"}
	case before == nil:
		return []string{"new: " + is}
	case after == nil && was == "":
		return []string{"gone"}
	case after == nil:
		return []string{"gone, it was " + was}
	case strings.Join(strings.Fields(string(before)), " ") == strings.Join(strings.Fields(string(after)), " "):
		return nil // the licence is the same, other lines differ
	case was != is:
		return []string{arrow(cmp.Or(was, "unknown text"), cmp.Or(is, "unknown text"))}
	case was == "":
		return []string{"changed"}
	}
	return []string{"changed, still " + was}
}

// licencesOf names the licences that a text consists of.
func licencesOf(text []byte) string {
	coverage := licensecheck.Scan(text)
	if coverage.Percent < 50 {
		return ""
	}
	var names []string
	for _, match := range coverage.Match {
		if !slices.Contains(names, match.ID) {
			names = append(names, match.ID)
		}
	}
	return namesOf(names)
}

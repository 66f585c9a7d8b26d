package review

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

var (
	licenceName = regexp.MustCompile(`(?i)^(?:licen[cs]es?|unlicen[cs]e|copying|copyright|notice)(?:[-_.][\w.+-]+)?$`)
	codeName    = regexp.MustCompile(`(?i)\.(?:c|cfg|css|erb|go|h|html?|ini|java|js|json|jsx|mjs|php|png|pot?|py|rb|rs|sh|sql|svg|toml|tsx?|vue|xml|ya?ml)$`)
)

func isLicence(_ *reviewer, name string) bool {
	base := path.Base(name)
	return licenceName.MatchString(base) && !codeName.MatchString(base)
}

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

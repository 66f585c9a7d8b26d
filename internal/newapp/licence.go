package newapp

import (
	"path"
	"slices"
	"strings"

	"github.com/google/licensecheck"

	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/text"
)

// readLicence recognises the licences of the texts at the top of the source.
func (f *Findings) readLicence(t *tree) {
	var ids, names []string
	for _, name := range t.names {
		if path.Dir(name) != "." || !license.IsText(name) {
			continue
		}
		names = append(names, text.Name(name))
		coverage := licensecheck.Scan(t.read(name))
		if coverage.Percent < 50 {
			continue
		}
		for _, match := range coverage.Match {
			if license.Check(match.ID) == nil && !slices.Contains(ids, match.ID) {
				ids = append(ids, match.ID)
			}
		}
	}
	slices.Sort(ids)
	switch {
	case len(names) == 0:
		f.lookAt("no text of a licence was found: write meta.license")
	case len(ids) == 0:
		f.lookAt("libre does not know the licence in %s: write meta.license", strings.Join(names, ", "))
	default:
		f.licence = license.And(ids...)
		f.found("licence %s, in %s", f.licence, strings.Join(names, ", "))
	}
	if len(ids) > 1 {
		f.lookAt("several licences were found: correct meta.license if one may choose")
	}
}

// declared takes the licence that a manifest declares, where no text has one.
func (f *Findings) declared(expression, where string) {
	if f.licence == "" && expression != "" && license.Check(expression) == nil {
		f.licence = expression
		f.guessed("licence %s, by %s", expression, where)
	}
}

package containerfile

import (
	"slices"

	"github.com/libresh/libre/internal/catalog"
)

// Unpinned lists the bases of a Containerfile image that no digest pins: neither
// is there one in their own name, nor does the definition say where they come
// from. source is the folder of the image's changed source. Errors are those of
// Parse and Bases, and those of a build that does not find its files.
func Unpinned(spec *catalog.Spec, source string) ([]Base, error) {
	j, err := jobOf(spec, source)
	if err != nil {
		return nil, err
	}
	if err := j.open(); err != nil {
		return nil, err
	}
	var unpinned []Base
	for _, base := range j.plan.bases {
		ref, err := parseReference(base.Name)
		declared := false
		for name := range spec.Bases {
			declared = declared || sameImage(name, base.Name)
		}
		known := slices.ContainsFunc(unpinned, func(b Base) bool { return b.Name == base.Name }) // for another platform
		switch {
		case declared || known:
		case err != nil:
			return nil, j.file.errorf(base.Line, "%v", err)
		case ref.digest == "":
			unpinned = append(unpinned, base)
		}
	}
	return unpinned, nil
}

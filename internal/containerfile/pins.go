package containerfile

import (
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
)

// Pins is what a definition's `bases` say of what a Containerfile builds on.
type Pins struct {
	// Unpinned are the bases that no digest pins: neither is there one in their own name,
	// nor does the definition say where they come from.
	Unpinned []Base
	// Used are the names in the file that a key is of, by key.
	Used map[string][]string
	// Moved are the keys that are of nothing in the file, and what it has in their place:
	// images of the same repository that no key is of. They are not in Unpinned.
	Moved map[string][]Base
}

// ReadPins compares the bases of an image's definition with its Containerfile. source is the
// folder of the image's changed source. Errors are those of Parse and Bases, and those of a
// build that does not find its files.
func ReadPins(spec *catalog.Spec, source string) (Pins, error) {
	j, err := jobOf(spec, source)
	if err != nil {
		return Pins{}, err
	}
	if err := j.open(); err != nil {
		return Pins{}, err
	}
	return j.pins(spec.Bases)
}

func (j *job) pins(bases map[string]catalog.Base) (Pins, error) {
	pins := Pins{Used: map[string][]string{}, Moved: map[string][]Base{}}
	var free []Base // that no key is of
	for _, base := range j.plan.bases {
		key, declared := keyOf(bases, base.Name)
		switch {
		case declared && !slices.Contains(pins.Used[key], base.Name):
			pins.Used[key] = append(pins.Used[key], base.Name)
		case declared || slices.ContainsFunc(free, func(b Base) bool { return b.Name == base.Name }): // for another platform
		default:
			if _, err := parseReference(base.Name); err != nil {
				return Pins{}, j.file.errorf(base.Line, "%v", err)
			}
			free = append(free, base)
		}
	}
	images, settled := j.knownImages()
	for _, key := range slices.Sorted(maps.Keys(bases)) {
		if settled && !slices.ContainsFunc(images, func(name string) bool { _, is := covers(key, name); return is }) {
			if moved := slices.DeleteFunc(slices.Clone(free), func(b Base) bool { return !sameRepository(key, b.Name) }); len(moved) > 0 {
				pins.Moved[key] = moved
			}
		}
	}
	for _, base := range free {
		isMoved := false
		for _, moved := range pins.Moved {
			isMoved = isMoved || slices.Contains(moved, base)
		}
		if ref, _ := parseReference(base.Name); ref.digest == "" && !isMoved {
			pins.Unpinned = append(pins.Unpinned, base)
		}
	}
	return pins, nil
}

// moved says of the bases whose keys are of nothing in the file what is there in their
// place. Where that was to be an image of the catalogue, a build would take another one.
func (j *job) moved(spec *catalog.Spec, moved map[string][]Base) []Defect {
	var all []Defect
	for _, key := range slices.Sorted(maps.Keys(moved)) {
		var names []string
		for _, base := range moved[key] {
			names = append(names, base.Name)
		}
		defect := Defect{Fix: "libre bump --inputs"}
		to := MovedKey(key, names[0])
		if len(names) > 1 || to == "" {
			to, defect.Fix = "match the file", ""
		}
		has, do := "a digest", "rename the key to "+to+", with its digest"
		if image := spec.Bases[key].Image; image != nil {
			defect.Fatal = true
			has, do = image.ID().String(), "rename the key to "+to+", or remove its tag to match any"
		} else if HasDigest(names[0]) {
			defect.Fix, do = "", "remove the key, as the file has a digest itself"
		}
		defect.Err = j.file.errorf(moved[key][0].Line, "the base is %s, but components.%s.bases has %s for %s: %s",
			strings.Join(names, " and "), spec.Component, has, key, do)
		all = append(all, defect)
	}
	return all
}

func sameRepository(a, b string) bool {
	ra, errA := parseReference(a)
	rb, errB := parseReference(b)
	return errA == nil && errB == nil && ra.repository == rb.repository
}

// MovedKey is a key of `bases` as it has to be for what a file has in its place: the
// repository is written as before. "" where no key of this form would be of it.
func MovedKey(key, image string) string {
	to, err := parseReference(image)
	if err != nil {
		return ""
	}
	repository, _, _ := strings.Cut(key, "@")
	if at := strings.LastIndexByte(repository, ':'); at > strings.LastIndexByte(repository, '/') {
		repository = repository[:at]
	}
	if to = to.withTag(); to.tag == "" {
		return ""
	}
	moved := repository + ":" + to.tag
	if _, is := covers(moved, image); !is {
		return ""
	}
	return moved
}

// HasTag tells whether an image's name has a tag.
func HasTag(image string) bool {
	r, err := parseReference(image)
	return err == nil && r.tag != ""
}

// HasDigest tells whether an image's name pins it.
func HasDigest(image string) bool {
	r, err := parseReference(image)
	return err == nil && r.digest != ""
}

package containerfile

import (
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
)

// Pins compares a definition's `bases` with the images in its Containerfile.
type Pins struct {
	// Unpinned are the bases without a digest, in their name or in the definition.
	Unpinned []Base
	// Used has, by key, the names in the file that it matches.
	Used map[string][]string
	// Moved has, by key without a match, images of the same repository that no key
	// matches: upstream changed their tag. They are not in Unpinned.
	Moved map[string][]Base
}

// ReadPins compares the bases of an image's definition with its Containerfile. source is the
// folder of the patched source. It returns errors of Parse and Bases, and errors about missing
// files.
func ReadPins(spec *catalog.Spec, source string) (Pins, error) {
	j, err := jobOf(spec, source)
	if err != nil {
		return Pins{}, err
	}
	if err := j.open(); err != nil {
		return Pins{}, err
	}
	return j.pins(spec.Containerfile().Bases)
}

func (j *job) pins(bases map[string]catalog.Base) (Pins, error) {
	pins := Pins{Used: map[string][]string{}, Moved: map[string][]Base{}}
	var free []Base // without a matching key
	for _, base := range j.plan.bases {
		key, declared := keyOf(bases, base.Name)
		switch {
		case declared && !slices.Contains(pins.Used[key], base.Name):
			pins.Used[key] = append(pins.Used[key], base.Name)
		case declared || slices.ContainsFunc(free, func(b Base) bool { return b.Name == base.Name }): // seen for another platform
		default:
			if _, err := parseReference(base.Name); err != nil {
				return Pins{}, j.file.errorf(base.Line, "%v", err)
			}
			free = append(free, base)
		}
	}
	images, complete := j.knownImages()
	for _, key := range slices.Sorted(maps.Keys(bases)) {
		if complete && !slices.ContainsFunc(images, func(name string) bool { _, is := covers(key, name); return is }) {
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

// moved reports the keys of Pins.Moved. It is fatal if the key names an image of the
// catalogue: the build would use another image.
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
		if image := spec.Containerfile().Bases[key].Image; image != nil {
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

// MovedKey returns the key of `bases` that matches the new image, with the repository
// spelled as before; "" if no such key matches.
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

// HasTag reports whether an image name has a tag.
func HasTag(image string) bool {
	r, err := parseReference(image)
	return err == nil && r.tag != ""
}

// HasDigest reports whether an image name has a digest.
func HasDigest(image string) bool {
	r, err := parseReference(image)
	return err == nil && r.digest != ""
}

package containerfile

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	distribution "github.com/distribution/reference"
)

// reference is an image's name in full, as engines without a list of search
// registries understand it.
type reference struct {
	repository string // docker.io/library/python
	tag        string // "" when there is none
	digest     string // sha256:…, "" when there is none
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// parseReference reads an image's name. Its grammar, and what is left out in it, are
// https://github.com/distribution/reference/blob/v0.6.0/reference.go; a registry is a
// host, whose name has no case.
func parseReference(image string) (reference, error) {
	rest, digest, pinned := strings.Cut(image, "@")
	if pinned && !digestForm.MatchString(digest) {
		return reference{}, fmt.Errorf("image name %q: the digest is not sha256 and 64 hexadecimal digits", image)
	}
	named, err := distribution.ParseNormalizedNamed(rest)
	if err != nil {
		return reference{}, fmt.Errorf("image name %q: %s", image, oneLine(err.Error()))
	}
	r := reference{repository: strings.ToLower(distribution.Domain(named)) + "/" + distribution.Path(named), digest: digest}
	if tagged, ok := named.(distribution.Tagged); ok {
		r.tag = tagged.Tag()
	}
	return r, nil
}

// withTag has the tag that a name has which is written without one.
func (r reference) withTag() reference {
	if r.digest == "" {
		r.tag = cmp.Or(r.tag, "latest")
	}
	return r
}

// byTag is the name to look up when no digest is known.
func (r reference) byTag() string { return r.repository + ":" + r.withTag().tag }

// byDigest is the name of exactly one image. No tag: engines refuse both at
// once.
func (r reference) byDigest(digest string) string { return r.repository + "@" + digest }

// Normal is an image's name in full, as in docker.io/library/python:3.13, without a
// digest; what is no image's name stays as it is.
func Normal(image string) string {
	r, err := parseReference(image)
	switch {
	case err != nil:
		return image
	case r.withTag().tag == "":
		return r.repository
	}
	return r.byTag()
}

// sameImage tells whether two names mean the same: python and
// docker.io/library/python:latest do.
func sameImage(a, b string) bool {
	if a == b {
		return true
	}
	ra, errA := parseReference(a)
	rb, errB := parseReference(b)
	return errA == nil && errB == nil && ra.withTag() == rb.withTag()
}

// covers tells whether a key of `bases` is of an image: what the key does not say, a tag or
// a digest, may be anything. exact tells of two such keys which one counts, the higher.
func covers(key, image string) (exact int, is bool) {
	if key == image {
		is = true // also what is no image's name
	}
	k, err := parseReference(key)
	if err != nil {
		return 0, is
	}
	if k.tag != "" {
		exact++
	}
	if k.digest != "" {
		exact += 2
	}
	i, err := parseReference(image)
	if err != nil {
		return exact, is
	}
	i = i.withTag()
	return exact, k.repository == i.repository && (k.tag == "" || k.tag == i.tag) && (k.digest == "" || k.digest == i.digest)
}

// keyOf finds the key that is of an image: the most exact one.
func keyOf[T any](keys map[string]T, image string) (key string, found bool) {
	most := -1
	for _, candidate := range slices.Sorted(maps.Keys(keys)) {
		if exact, is := covers(candidate, image); is && exact > most {
			key, most = candidate, exact
		}
	}
	return key, most >= 0
}

// sameKeys finds keys of `bases` that mean the same, in pairs.
func sameKeys[T any](keys map[string]T) [][2]string {
	var pairs [][2]string
	first := map[reference]string{}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		r, err := parseReference(key)
		if err != nil {
			continue
		}
		if before, known := first[r]; known {
			pairs = append(pairs, [2]string{before, key})
		} else {
			first[r] = key
		}
	}
	return pairs
}

package containerfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	distribution "github.com/distribution/reference"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// reference is a full image name, for engines without a list of search registries.
type reference struct {
	repository string // docker.io/library/python
	tag        string // "" if there is none
	digest     string // sha256:…, "" if there is none
}

var digestForm = lazyregexp.New(`^sha256:[0-9a-f]{64}$`)

// parseReference parses an image name. It has the grammar and the defaults of
// https://github.com/distribution/reference/blob/v0.6.0/reference.go
// The registry is a host name, in any case.
func parseReference(image string) (reference, error) {
	rest, digest, pinned := strings.Cut(image, "@")
	if pinned && !digestForm().MatchString(digest) {
		return reference{}, fmt.Errorf("image name %q: the digest is not sha256 and 64 hexadecimal digits", image)
	}
	named, err := distribution.ParseNormalizedNamed(rest)
	if err != nil {
		return reference{}, fmt.Errorf("image name %q: %s", image, text.Line(err.Error()))
	}
	r := reference{repository: strings.ToLower(distribution.Domain(named)) + "/" + distribution.Path(named), digest: digest}
	if tagged, ok := named.(distribution.Tagged); ok {
		r.tag = tagged.Tag()
	}
	return r, nil
}

// withTag adds the default tag to a name without tag and digest.
func (r reference) withTag() reference {
	if r.digest == "" {
		r.tag = cmp.Or(r.tag, "latest")
	}
	return r
}

// byTag returns the name to look up if no digest is known.
func (r reference) byTag() string { return r.repository + ":" + r.withTag().tag }

// byDigest returns the name of exactly one image, without a tag: engines refuse both
// together.
func (r reference) byDigest(digest string) string { return r.repository + "@" + digest }

// Normal returns the full image name, such as docker.io/library/python:3.13, without a
// digest. An invalid name is returned unchanged.
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

// sameImage reports whether two names refer to the same image, such as python and
// docker.io/library/python:latest.
func sameImage(a, b string) bool {
	if a == b {
		return true
	}
	ra, errA := parseReference(a)
	rb, errB := parseReference(b)
	return errA == nil && errB == nil && ra.withTag() == rb.withTag()
}

// covers reports whether a key of `bases` matches an image. A key without a tag or digest
// matches every tag and digest. If several keys match, the one with the highest precedence
// counts.
func covers(key, image string) (precedence int, matches bool) {
	if key == image {
		matches = true // even an invalid name
	}
	k, err := parseReference(key)
	if err != nil {
		return 0, matches
	}
	if k.tag != "" {
		precedence++
	}
	if k.digest != "" {
		precedence += 2
	}
	i, err := parseReference(image)
	if err != nil {
		return precedence, matches
	}
	i = i.withTag()
	return precedence, k.repository == i.repository && (k.tag == "" || k.tag == i.tag) && (k.digest == "" || k.digest == i.digest)
}

// keyOf finds the most specific key that matches an image.
func keyOf[T any](keys map[string]T, image string) (key string, found bool) {
	most := -1
	for _, candidate := range slices.Sorted(maps.Keys(keys)) {
		if precedence, matches := covers(candidate, image); matches && precedence > most {
			key, most = candidate, precedence
		}
	}
	return key, most >= 0
}

// sameKeys returns pairs of keys of `bases` that name the same image.
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

package containerfile

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// reference is an image's name in full, as engines without a list of search
// registries understand it.
type reference struct {
	repository string // docker.io/library/python
	tag        string // "" when there is none
	digest     string // sha256:…, "" when there is none
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func parseReference(image string) (reference, error) {
	rest, digest, pinned := strings.Cut(image, "@")
	if pinned && !digestForm.MatchString(digest) {
		return reference{}, fmt.Errorf("image name %q: the digest is not sha256 and 64 hexadecimal digits", image)
	}
	tag, err := name.NewTag(rest, name.WeakValidation)
	if err != nil {
		return reference{}, fmt.Errorf("image name %q: %s", image, oneLine(err.Error()))
	}
	r := reference{digest: digest}
	host := tag.RegistryStr()
	if host == name.DefaultRegistry {
		// What go-containerregistry calls index.docker.io is docker.io to
		// every engine, in its configuration and its credentials.
		host = "docker.io"
	}
	r.repository = host + "/" + tag.RepositoryStr()
	if r.tag = tag.TagStr(); digest != "" && !strings.HasSuffix(rest, ":"+r.tag) {
		r.tag = ""
	}
	return r, nil
}

// byTag is the name to look up when no digest is known.
func (r reference) byTag() string { return r.repository + ":" + r.tag }

// byDigest is the name of exactly one image. No tag: engines refuse both at
// once.
func (r reference) byDigest(digest string) string { return r.repository + "@" + digest }

// sameImage tells whether two names mean the same: python and
// docker.io/library/python:latest do.
func sameImage(a, b string) bool {
	if a == b {
		return true
	}
	ra, errA := parseReference(a)
	rb, errB := parseReference(b)
	return errA == nil && errB == nil && ra == rb
}

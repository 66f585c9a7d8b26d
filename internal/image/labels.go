package image

import (
	"maps"
	"slices"
	"strings"
)

// ociLabels is how OCI's own annotations begin, which labels have, too.
// https://specs.opencontainers.org/image-spec/annotations/
const ociLabels = "org.opencontainers.image."

// ofRelease are those of OCI's that say of an image how it was made and published:
// upstream's would lie of ours.
var ofRelease = []string{"version", "revision", "created", "base.name", "base.digest", "ref.name"}

// OfRelease tells whether a label is for the publisher of an image alone to say.
func OfRelease(label string) bool {
	name, oci := strings.CutPrefix(label, ociLabels)
	return oci && slices.Contains(ofRelease, name)
}

// relabel puts the labels of ours into an image's config. Of those that the image has it
// keeps what its makers say of it (maintainer, traefik rules, …). Of OCI's own only what
// upstream says itself stays, such as vendor and documentation, where ours say nothing:
// a base image's vendor is another one. What an engine or an earlier run of ours says goes.
func relabel(has map[string]string, upstream func(label string) bool, ours map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range has {
		engines := strings.HasPrefix(name, "io.buildah.") || strings.HasPrefix(name, "sh.libre.")
		if !engines && !OfRelease(name) && (!strings.HasPrefix(name, ociLabels) || upstream(name)) {
			out[name] = value
		}
	}
	maps.Copy(out, ours)
	return out
}

package image

import (
	"maps"
	"slices"
	"strings"
)

// ociLabels is the prefix of the annotations that OCI defines, which images also have as
// labels.
// https://specs.opencontainers.org/image-spec/annotations/
const ociLabels = "org.opencontainers.image."

// releaseLabels are the OCI labels about the build and the publication of an image. The labels
// of upstream's image would be wrong for libre's.
var releaseLabels = []string{"version", "revision", "created", "base.name", "base.digest", "ref.name"}

// IsReleaseLabel reports whether only the publisher of an image may set a label.
func IsReleaseLabel(label string) bool {
	name, oci := strings.CutPrefix(label, ociLabels)
	return oci && slices.Contains(releaseLabels, name)
}

// relabel returns the labels of an image's config: all labels in ours, and the labels in has
// that describe the image (maintainer, traefik rules, …). It drops labels of engines and of
// libre. It also drops OCI labels that come from the base image, such as its vendor: upstream
// reports whether the Containerfile sets a label itself.
func relabel(has map[string]string, upstream func(label string) bool, ours map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range has {
		engines := strings.HasPrefix(name, "io.buildah.") || strings.HasPrefix(name, "sh.libre.")
		if !engines && !IsReleaseLabel(name) && (!strings.HasPrefix(name, ociLabels) || upstream(name)) {
			out[name] = value
		}
	}
	maps.Copy(out, ours)
	return out
}

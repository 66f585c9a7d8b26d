package release

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
)

// Annotations and labels of ours. https://specs.opencontainers.org/image-spec/annotations/
const (
	ociPrefix   = "org.opencontainers.image."
	librePrefix = "sh.libre."
)

// baseImage is what an image was built on.
type baseImage struct{ name, digest string }

// labels describe an image by its content alone: what a commit to the catalogue
// does not change, they do not change either. key is the spec's, or the index's.
func labels(spec *catalog.Spec, key string, base baseImage) map[string]string {
	about := spec.About
	all := map[string]string{
		ociPrefix + "title":             spec.ID().Name(),
		ociPrefix + "description":       about.Description,
		ociPrefix + "version":           catalog.Tag(spec.Version, spec.PackageVersion),
		ociPrefix + "source":            about.Source,
		ociPrefix + "revision":          about.Revision,
		ociPrefix + "url":               about.URL,
		ociPrefix + "licenses":          about.License,
		ociPrefix + "base.name":         base.name,
		ociPrefix + "base.digest":       base.digest,
		librePrefix + "app":             spec.App,
		librePrefix + "component":       spec.Component,
		librePrefix + "variant":         spec.Variant,
		librePrefix + "app-version":     spec.Version,
		librePrefix + "package-version": strconv.Itoa(spec.PackageVersion),
		image.ImageKeyAnnotation:        key,
		librePrefix + "needs":           jsonText(about.Needs, len(about.Needs) == 0),
		librePrefix + "migration":       jsonText(about.Migration, about.Migration == nil),
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

func jsonText(value any, empty bool) string {
	if empty {
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "" // maps of JSON that was decoded before encode again
	}
	return string(text)
}

// created is the time of an image: its source's release date, else one second
// after the epoch, which tools do not take for "never" as they do the epoch.
func created(spec *catalog.Spec) time.Time {
	if date, err := time.Parse(time.DateOnly, spec.About.Date); err == nil {
		return date
	}
	return time.Unix(1, 0).UTC()
}

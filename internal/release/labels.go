package release

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/image"
)

// Prefixes of the annotations and labels that libre writes. https://specs.opencontainers.org/image-spec/annotations/
const (
	OCIPrefix   = "org.opencontainers.image."
	LibrePrefix = "sh.libre."
)

// BaseImage is the base of an image.
type BaseImage struct {
	Name   string // NAME:TAG; without the registry if the base is in the catalogue
	Digest string
}

// Labels returns the labels of an image. They depend on its content only, so a commit that does
// not change the image does not change them. key is the key of the spec or of the index.
func Labels(spec *catalog.Spec, key string, base BaseImage) map[string]string {
	about := spec.Annotations
	all := map[string]string{
		OCIPrefix + "title":             spec.ID().Name(),
		OCIPrefix + "description":       about.Description,
		OCIPrefix + "version":           catalog.Tag(spec.Version, spec.PackageVersion),
		OCIPrefix + "source":            about.Source,
		OCIPrefix + "revision":          about.Revision,
		OCIPrefix + "url":               about.URL,
		OCIPrefix + "licenses":          about.License,
		OCIPrefix + "base.name":         base.Name,
		OCIPrefix + "base.digest":       base.Digest,
		LibrePrefix + "app":             spec.App,
		LibrePrefix + "component":       spec.Component,
		LibrePrefix + "variant":         spec.Variant,
		LibrePrefix + "app-version":     spec.Version,
		LibrePrefix + "package-version": strconv.Itoa(spec.PackageVersion),
		image.ImageKeyAnnotation:        key,
		LibrePrefix + "needs":           jsonText(about.Needs, len(about.Needs) == 0),
		LibrePrefix + "migration":       jsonText(about.Migration, about.Migration == nil),
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
		return "" // cannot happen: decoded JSON always encodes
	}
	return string(text)
}

// Created returns the creation time of an image: the release date of its source, or one
// second after the epoch, because tools show the epoch itself as "never".
func Created(spec *catalog.Spec) time.Time {
	if date, err := time.Parse(time.DateOnly, spec.Annotations.Date); err == nil {
		return date
	}
	return time.Unix(1, 0).UTC()
}

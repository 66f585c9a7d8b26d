package catalog

import "strings"

// Ref is the reference of an image or a release record relative to a registry's prefix
// REGISTRY[/NAMESPACE].
type Ref struct {
	Repository string // the last part of the path, such as docs-backend-default
	Tag        string // such as 5.4.1-1
}

// RecordRef returns the reference of a release record: app-variant:appver-pkgver.
func RecordRef(app, variant, version string, packageVersion int) Ref {
	return Ref{app + "-" + variant, Tag(version, packageVersion)}
}

// RecordRef returns the reference of the release record of an app's variant.
func (a App) RecordRef(variant string) Ref {
	return RecordRef(a.Name, variant, a.Version, a.PackageVersion)
}

// ParseRef splits REPOSITORY:TAG. The tag may be missing. It checks neither part.
func ParseRef(text string) Ref {
	repository, tag, _ := strings.Cut(text, ":")
	return Ref{repository, tag}
}

// String returns REPOSITORY:TAG, or "" if both are empty.
func (r Ref) String() string {
	if r == (Ref{}) {
		return ""
	}
	return r.Repository + ":" + r.Tag
}

// MarshalText returns String.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText parses text with ParseRef.
func (r *Ref) UnmarshalText(text []byte) error {
	*r = ParseRef(string(text))
	return nil
}

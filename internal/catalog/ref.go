package catalog

import "strings"

// Ref names an image or a release record below a registry's prefix REGISTRY[/NAMESPACE].
type Ref struct {
	Repository string // the last part of its path, such as docs-backend-default
	Tag        string // such as 5.4.1-1
}

// RecordRef is the reference of a release record: app-variant:appver-pkgver.
func RecordRef(app, variant, version string, packageVersion int) Ref {
	return Ref{app + "-" + variant, Tag(version, packageVersion)}
}

// RecordRef is the reference of the release record of an app's variant.
func (a App) RecordRef(variant string) Ref {
	return RecordRef(a.Name, variant, a.Version, a.PackageVersion)
}

// ParseRef reads REPOSITORY:TAG. Nothing of it is checked; the tag may be missing.
func ParseRef(text string) Ref {
	repository, tag, _ := strings.Cut(text, ":")
	return Ref{repository, tag}
}

// String is REPOSITORY:TAG, and empty where both are.
func (r Ref) String() string {
	if r == (Ref{}) {
		return ""
	}
	return r.Repository + ":" + r.Tag
}

// MarshalText gives REPOSITORY:TAG to JSON.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRef.
func (r *Ref) UnmarshalText(text []byte) error {
	*r = ParseRef(string(text))
	return nil
}

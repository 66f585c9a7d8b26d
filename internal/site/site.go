// Package site writes the public page of a catalogue: its apps, their releases, what is in
// their images, and how to use them, in English and French. It is a function of what it is
// given: the same releases give the same bytes. All texts may come from outside.
package site

import (
	"time"

	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
)

// Catalogue is what all pages have in common.
type Catalogue struct {
	Registry string         // REGISTRY[/NAMESPACE] of the images
	Key      []byte         // public keys in PEM, which the site offers as cosign.pub; empty if there are none to offer
	Signer   string         // the words by which libre's commands know the signer, quoted for a shell: --key cosign.pub
	Database *scan.Database // of vulnerabilities; nil if none was asked
}

// App is an app with its releases.
type App struct {
	Name string
	// Document describes the app: its newest release that verifies, else the working tree.
	Document *describe.Application
	Releases []Release // the default variant's first; of a variant the newest first
}

// Release is a release of an app's variant in the registry. Of one that does not verify, the
// site shows what was asked for and the digest that was answered: the other fields are not
// used.
type Release struct {
	Variant   string
	Tag       string // APPVERSION-PACKAGEVERSION
	Reference string // REGISTRY[/NAMESPACE]/APP-VARIANT:TAG
	Digest    string // of the record
	Verified  bool
	Withdrawn *Withdrawn // nil if it is not withdrawn

	Date     time.Time // when it was signed, if a service dated that, else that of its newest image; zero if neither is known
	Document *describe.Application
	Images   []Image             // by component
	Changes  *compare.Comparison // with the release before; nil if there is none, or it was not read
}

// Withdrawn says why nobody should use a release any more.
type Withdrawn struct {
	Date    string // YYYY-MM-DD
	Reason  string
	Instead string // reference of the release to use instead; "" if there is none
}

// Image is one component of a release. One that does not verify is shown as a release that
// does not.
type Image struct {
	Component string
	Reference string // REGISTRY[/NAMESPACE]/NAME:TAG
	Digest    string // of the index
	Verified  bool

	Cosign    string     // the cosign command that checks the signature
	Platforms []Platform // none if the image was not read: the release is an older one
}

// Platform is an image for one platform.
type Platform struct {
	Name     string // OS/ARCHITECTURE[/VARIANT]
	Digest   string // of the manifest
	Size     int64  // bytes of its layers, compressed
	Created  time.Time
	SBOM     *sbom.Document
	Findings []scan.Finding // nil if the image was not scanned
}

// newest is the newest release that verifies, of the default variant before others; nil if
// none does. A withdrawn one counts only if there is no other.
func (a *App) newest() *Release {
	if found := a.newestOf(func(r *Release) bool { return r.Verified && r.Withdrawn == nil }); found != nil {
		return found
	}
	return a.newestOf(func(r *Release) bool { return r.Verified })
}

func (a *App) newestOf(counts func(*Release) bool) *Release {
	var found *Release
	for i := range a.Releases {
		r := &a.Releases[i]
		if !counts(r) || found != nil && (found.Variant == "default" || r.Variant != "default") {
			continue
		}
		found = r
	}
	return found
}

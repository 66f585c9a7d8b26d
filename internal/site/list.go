package site

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/libresh/libre/internal/scan"
)

// The shape of catalogue.json. Fields are added, and not renamed or removed; docs/site.md
// describes them.
type (
	listedCatalogue struct {
		Schema   int             `json:"schema"`
		Registry string          `json:"registry"`
		Database *listedDatabase `json:"database"` // null if nothing was scanned
		Apps     []listedApp     `json:"apps"`     // by name
	}
	listedDatabase struct {
		Built  time.Time `json:"built"`
		Schema string    `json:"schema"`
	}
	listedApp struct {
		Name        string          `json:"name"`
		Page        string          `json:"page"` // path
		Description string          `json:"description,omitempty"`
		Homepage    string          `json:"homepage,omitempty"`
		License     string          `json:"license,omitempty"`
		Source      string          `json:"source,omitempty"`
		Needs       []listedNeed    `json:"needs"`
		Releases    []listedRelease `json:"releases"`
	}
	listedNeed struct {
		Name     string `json:"name"`
		Kind     string `json:"kind"`
		Optional bool   `json:"optional"`
	}
	listedRelease struct {
		Variant   string           `json:"variant"`
		Tag       string           `json:"tag"`
		Reference string           `json:"reference"`
		Digest    string           `json:"digest"`
		Signature string           `json:"signature"` // verified, or failed
		Withdrawn *listedWithdrawn `json:"withdrawn,omitempty"`
		Page      string           `json:"page"`
		Date      *time.Time       `json:"date,omitempty"`
		Images    []listedImage    `json:"images"`
	}
	listedWithdrawn struct {
		Date    string `json:"date"` // YYYY-MM-DD
		Reason  string `json:"reason"`
		Instead string `json:"instead,omitempty"` // reference
	}
	listedImage struct {
		Component string           `json:"component"`
		Reference string           `json:"reference"`
		Digest    string           `json:"digest"`
		Signature string           `json:"signature"`
		Platforms []listedPlatform `json:"platforms"`
	}
	listedPlatform struct {
		Platform        string                 `json:"platform"`
		Digest          string                 `json:"digest"`
		Size            int64                  `json:"size"` // bytes, compressed
		Created         time.Time              `json:"created"`
		Components      int                    `json:"components"`
		CycloneDX       string                 `json:"cyclonedx"`       // path
		SPDX            string                 `json:"spdx"`            // path
		Vulnerabilities *listedVulnerabilities `json:"vulnerabilities"` // null if it was not scanned
	}
	listedVulnerabilities struct {
		Open    map[scan.Severity]int `json:"open"`
		Settled int                   `json:"settled"` // by patches and statements
	}
)

const listSchema = 1

func listed(app *App) listedApp {
	a := listedApp{Name: app.Name, Page: appPath(app.Name), Needs: []listedNeed{}, Releases: []listedRelease{}}
	if document := app.Document; document != nil {
		a.Description, a.Homepage, a.License, a.Source = document.Spec.Description, document.Spec.Homepage, document.Spec.License, document.Spec.Source
		for _, name := range slices.Sorted(maps.Keys(document.Spec.Needs)) {
			need := document.Spec.Needs[name]
			a.Needs = append(a.Needs, listedNeed{name, need.Kind, need.Optional})
		}
	}
	for i := range app.Releases {
		a.Releases = append(a.Releases, listRelease(app.Name, &app.Releases[i]))
	}
	return a
}

func listRelease(app string, r *Release) listedRelease {
	l := listedRelease{Variant: r.Variant, Tag: r.Tag, Reference: r.Reference, Digest: r.Digest, Signature: signature(r.Verified), Page: releasePath(app, r), Images: []listedImage{}}
	if !r.Verified {
		return l
	}
	if w := r.Withdrawn; w != nil {
		l.Withdrawn = &listedWithdrawn{w.Date, w.Reason, w.Instead}
	}
	if !r.Date.IsZero() {
		date := r.Date.UTC()
		l.Date = &date
	}
	for i := range r.Images {
		image := &r.Images[i]
		li := listedImage{Component: image.Component, Reference: image.Reference, Digest: image.Digest, Signature: signature(image.Verified), Platforms: []listedPlatform{}}
		for j := range image.Platforms {
			if image.Verified {
				li.Platforms = append(li.Platforms, listPlatform(app, r, image, &image.Platforms[j]))
			}
		}
		l.Images = append(l.Images, li)
	}
	return l
}

func listPlatform(app string, r *Release, image *Image, p *Platform) listedPlatform {
	view := newPlatformView(app, r, image, p)
	l := listedPlatform{
		Platform: p.Name, Digest: p.Digest, Size: p.Size, Created: p.Created.UTC(),
		Components: view.Components, CycloneDX: view.CycloneDX, SPDX: view.SPDX,
	}
	if view.Tally != nil {
		l.Vulnerabilities = &listedVulnerabilities{Open: map[scan.Severity]int{}, Settled: view.Tally.Settled}
		for _, open := range view.Tally.Open {
			l.Vulnerabilities.Open[open.Severity] = open.Count
		}
	}
	return l
}

func signature(verified bool) string {
	if verified {
		return "verified"
	}
	return "failed"
}

func (w *Writer) list() ([]byte, error) {
	all := listedCatalogue{Schema: listSchema, Registry: w.catalogue.Registry, Apps: []listedApp{}}
	if database := w.catalogue.Database; database != nil {
		all.Database = &listedDatabase{database.Built.UTC(), database.Schema} // and not where it is on this machine
	}
	for _, s := range w.apps {
		all.Apps = append(all.Apps, s.list)
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(all)
	return b.Bytes(), err
}

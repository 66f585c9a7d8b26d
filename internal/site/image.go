package site

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"

	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/text"
)

// imageView describes an image on the page of its release.
type imageView struct {
	*Image
	Description string
	License     string
	Platforms   []platformView
	Tally       *tally
}

// platformView is an image for one platform.
type platformView struct {
	*Platform
	Contents        string // path of the page
	Vulnerabilities string // path of the page; "" if the image was not scanned
	CycloneDX, SPDX string // paths of the documents
	Components      int
	Tally           *tally
}

func imageViews(app string, r *Release) []imageView {
	var all []imageView
	for i := range r.Images {
		image := &r.Images[i]
		view := imageView{Image: image}
		if image.Verified {
			view.Tally = newTally([]Image{*image})
			for j := range image.Platforms {
				view.Platforms = append(view.Platforms, newPlatformView(app, r, image, &image.Platforms[j]))
			}
		}
		if r.Document != nil && image.Verified {
			c := r.Document.Spec.Components[image.Component]
			view.Description, view.License = text.Short(c.Description, mostOfText), text.Short(cmp.Or(c.License, r.Document.Spec.License), mostOfCell)
		}
		all = append(all, view)
	}
	return all
}

func newPlatformView(app string, r *Release, image *Image, p *Platform) platformView {
	view := platformView{
		Platform: p, Contents: imagePath(app, r, image, p, "contents"),
		CycloneDX: sbomPath(app, r, image, p, "cdx"), SPDX: sbomPath(app, r, image, p, "spdx"), Components: len(p.SBOM.Components),
	}
	if p.Findings != nil {
		view.Vulnerabilities = imagePath(app, r, image, p, "vulnerabilities")
		view.Tally = newTally([]Image{{Component: image.Component, Platforms: []Platform{*p}}})
	}
	return view
}

// contentsView is a page of an image's contents or vulnerabilities.
type contentsView struct {
	Release  *Release
	App      string
	Path     string // of the release
	Image    *Image
	Platform platformView
	Licenses []licenseCount
	part
}

type licenseCount struct {
	License string
	Count   int
}

// platform writes the pages about an image for a platform, and its SBOMs.
func (w *Writer) platform(app *App, r *Release, image *Image, p *Platform) error {
	base := contentsView{Release: r, App: app.Name, Path: releasePath(app.Name, r), Image: image, Platform: newPlatformView(app.Name, r, image, p)}
	about := about{fmt.Sprintf("%s %s %s, %s", app.Name, image.Component, r.Tag, p.Name), image.Reference}
	contents, rows := base, componentRows(p)
	contents.Licenses = licenseCounts(p)
	if err := w.contents("contents", about, contents, func(*language) []template.HTML { return rows }); err != nil {
		return err
	}
	if p.Findings != nil {
		err := w.contents("vulnerabilities", about, base, func(l *language) []template.HTML { return l.findingRows(p) })
		if err != nil {
			return err
		}
	}
	return w.sboms(base.Platform)
}

// contents writes the pages of a list of what is in an image.
func (w *Writer) contents(kind string, about about, base contentsView, rows func(*language) []template.HTML) error {
	list := longList{kind: kind, items: map[*language][]template.HTML{}}
	for _, l := range w.languages {
		list.items[l] = rows(l)
	}
	list.path = func(number int) string {
		return numbered(imagePath(base.App, base.Release, base.Image, base.Platform.Platform, kind), number)
	}
	return w.longList(list, about, func(_ *language, part part) any {
		view := base
		view.part = part
		return &view
	})
}

func (w *Writer) sboms(p platformView) error {
	cyclonedx, spdx, err := p.SBOM.Encode()
	if err != nil {
		return err
	}
	if err := w.file(p.CycloneDX, cyclonedx); err != nil {
		return err
	}
	return w.file(p.SPDX, spdx)
}

// licenseCounts counts the components of each SPDX identifier, the most first. Components of
// which none is known count as "".
func licenseCounts(p *Platform) []licenseCount {
	expressions, counts := map[string]int{}, map[string]int{}
	for _, c := range p.SBOM.Components {
		expressions[c.License.Expression]++
	}
	for expression, n := range expressions {
		ids, err := license.IDs(expression)
		if err != nil {
			ids = []string{expression}
		}
		for _, id := range ids {
			counts[text.Short(id, 80)] += n
		}
	}
	var all []licenseCount
	for id, n := range counts {
		all = append(all, licenseCount{id, n})
	}
	slices.SortFunc(all, func(a, b licenseCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.License, b.License))
	})
	return all[:min(len(all), 100)]
}

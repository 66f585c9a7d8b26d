package site

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
)

// What names become parts of paths: those of apps, components and variants, tags, platforms.
var (
	catalogName = lazyregexp.New(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
	tagName     = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	platform    = lazyregexp.New(`^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$`)
)

// check returns an error if a name of the app cannot be a part of a path: a record is signed,
// but perhaps not by this libre.
func (a *App) check() error {
	if err := checkName("app", a.Name, catalogName()); err != nil {
		return err
	}
	for _, r := range a.Releases {
		if err := checkName("variant", r.Variant, catalogName()); err != nil {
			return err
		}
		if err := checkName("tag", r.Tag, tagName()); err != nil {
			return err
		}
		for _, image := range r.Images {
			if err := checkName("component", image.Component, catalogName()); err != nil {
				return err
			}
			for _, p := range image.Platforms {
				if err := checkName("platform", p.Name, platform()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func checkName(what, name string, form *regexp.Regexp) error {
	if !form.MatchString(name) {
		return fmt.Errorf("the %s %q has a name that cannot be in the address of a page", what, name)
	}
	return nil
}

// Paths of pages are below the folder of their language, those of other files below the
// site's. There are few folders: disks are slow to make them.

func appPath(app string) string { return "apps/" + app + ".html" }

func releasePath(app string, r *Release) string {
	return "apps/" + app + "/" + r.Variant + "/" + r.Tag + ".html"
}

// releasesPath returns the path of the list of all releases of an app.
func releasesPath(app string) string { return "apps/" + app + "/releases.html" }

// imagePath is that of the first page about a component's image for a platform: contents or
// vulnerabilities.
func imagePath(app string, r *Release, image *Image, p *Platform, about string) string {
	return strings.TrimSuffix(releasePath(app, r), ".html") + "." + image.Component + "." + dashed(p.Name) + "." + about + ".html"
}

// sbomPath returns the path of a document; format is cdx or spdx.
func sbomPath(app string, r *Release, image *Image, p *Platform, format string) string {
	id := catalog.ID{App: app, Component: image.Component, Variant: r.Variant}
	return "sbom/" + app + "/" + id.Name() + "." + r.Tag + "." + dashed(p.Name) + "." + format + ".json"
}

func dashed(platform string) string { return strings.ReplaceAll(platform, "/", "-") }

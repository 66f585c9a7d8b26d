package nix

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
)

// The alphabets of types.nix.
var (
	nameForm   = lazyregexp.New(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
	wordForm   = lazyregexp.New(`^[0-9A-Za-z][0-9A-Za-z._-]*$`)
	inStore    = lazyregexp.New(`^/nix/store/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+(/[^[:cntrl:]]*)?$`)
	drvInStore = lazyregexp.New(`^/nix/store/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+\.drv$`)
)

// check refuses values that no definition of mkApp evaluates to. A stranger's flake need not
// use mkApp, so its output is outside data: names become files and tags, and paths are read.
func (r *raw) check() error {
	for _, key := range slices.Sorted(maps.Keys(r.Apps)) {
		if err := checkApp(key, r.Apps[key]); err != nil {
			return &fault.Fault{Doing: "reading the catalogue", Err: err, Fix: fixOutput}
		}
	}
	for _, spec := range r.Images {
		if err := checkSpec(spec, 0); err != nil {
			return &fault.Fault{Doing: "reading the catalogue", Err: err, Fix: fixOutput}
		}
	}
	return nil
}

const fixOutput = "make the output libre of flake.nix with mkCatalogue, as libre init writes it"

func checkApp(key string, app catalog.App) error {
	if !nameForm().MatchString(key) || app.Name != key {
		return fmt.Errorf("%q is not the name of an app", key)
	}
	if !wordForm().MatchString(app.Version) || app.PackageVersion < 1 {
		return fmt.Errorf("%s has the version %q and the package version %d", key, app.Version, app.PackageVersion)
	}
	for component := range app.Components {
		if !nameForm().MatchString(component) {
			return fmt.Errorf("%q is not the name of a component", component)
		}
	}
	for _, variant := range app.Variants {
		if !nameForm().MatchString(variant) {
			return fmt.Errorf("%q is not the name of a variant", variant)
		}
	}
	return nil
}

// mostBases is the largest number of images in a chain of bases; real chains have two or three.
const mostBases = 20

func checkSpec(spec *catalog.Spec, depth int) error {
	switch {
	case spec == nil:
		return errors.New("an image is null")
	case depth > mostBases:
		return fmt.Errorf("%s has more than %d bases below each other", spec.ID(), mostBases)
	case !nameForm().MatchString(spec.App) || !nameForm().MatchString(spec.Component) || !nameForm().MatchString(spec.Variant):
		return fmt.Errorf("%q is not the name of an image", spec.ID())
	case !wordForm().MatchString(spec.Version) || spec.PackageVersion < 1:
		return fmt.Errorf("%s has the version %q and the package version %d", spec.ID(), spec.Version, spec.PackageVersion)
	}
	all := spec.Content.Derivations()
	file := spec.Containerfile()
	if file != nil && file.Fetch != nil {
		all = append(all, file.Fetch)
	}
	for _, derivation := range all {
		if !storePathOnly(derivation.Out) || derivation.Drv != nil && !drvInStore().MatchString(*derivation.Drv) {
			return fmt.Errorf("%s is made of %q, which is not in the Nix store", spec.ID(), derivation.Out)
		}
	}
	if file == nil {
		return nil
	}
	for context, path := range file.Contexts {
		if !storePathOnly(path) {
			return fmt.Errorf("%s has the build context %q in %q, which is not in the Nix store", spec.ID(), context, path)
		}
	}
	for _, base := range file.Bases {
		if base.Image != nil {
			if err := checkSpec(base.Image, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// storePathOnly reports whether a path is in the store, even with ".." in it.
func storePathOnly(in string) bool {
	return inStore().MatchString(in) && path.Clean(in) == strings.TrimSuffix(in, "/")
}

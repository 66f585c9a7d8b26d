package nix

import (
	"context"
	"fmt"
	"strings"

	"github.com/libresh/libre/internal/catalog"
)

// StoreName is a store path, with the name and version of its package where they are known.
type StoreName struct{ Path, PName, Version string }

// Known is what evaluation knows of a store path. Whatever it does not know is empty.
type Known struct {
	Path     string `json:"path"`
	Known    bool   `json:"known"`    // the package was found
	License  string `json:"license"`  // SPDX expression, as the package set declares it
	Homepage string `json:"homepage"` // URL
	CPE      string `json:"cpe"`
	PURL     string `json:"purl"`
}

// Inventory asks the package set, in one evaluation, for what it knows of the store paths of
// an image.
func (c *Catalogue) Inventory(ctx context.Context, spec *catalog.Spec, paths []StoreName) (map[string]Known, error) {
	request := Request{
		Patterns: []catalog.Pattern{{App: spec.App, Component: spec.Component, Variant: spec.Variant}},
		Systems:  []string{spec.System},
	}
	apply := inventoryOf(spec, paths)
	all, err := c.inventory(ctx, request, apply)
	if err != nil {
		with, _, done, mirrorErr := c.mirrored(ctx, request, err)
		defer done()
		if mirrorErr != nil {
			return nil, mirrorErr
		}
		if with == nil {
			return nil, err
		}
		if all, err = with.inventory(ctx, request, apply); err != nil {
			return nil, err
		}
	}
	known := map[string]Known{}
	for _, one := range all {
		known[one.Path] = one
	}
	return known, nil
}

func (c *Catalogue) inventory(ctx context.Context, request Request, apply string) ([]Known, error) {
	flake, err := c.flakeFor(ctx, request)
	if err != nil {
		return nil, err
	}
	var all []Known
	err = c.nix.Eval(ctx, flake, "libre", apply, &all)
	return all, err
}

// inventoryOf is the function that asks. An older library of the catalogue knows nothing.
func inventoryOf(spec *catalog.Spec, paths []StoreName) string {
	orNull := func(text string) string {
		if text == "" {
			return "null"
		}
		return Quote(text)
	}
	var list strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&list, " { path = %s; pname = %s; version = %s; }", Quote(path.Path), orNull(path.PName), orNull(path.Version))
	}
	return fmt.Sprintf("libre: (libre.inventory or (_: [ ])) { system = %s; app = %s; component = %s; variant = %s; paths = [%s ]; }",
		Quote(spec.System), Quote(spec.App), Quote(spec.Component), Quote(spec.Variant), list.String())
}

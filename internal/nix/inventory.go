package nix

import (
	"context"
	"errors"
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
	all, err := c.inventory(ctx, request, spec, paths)
	if err != nil {
		with, _, done, mirrorErr := c.mirrored(ctx, request, err)
		defer done()
		if mirrorErr != nil {
			return nil, mirrorErr
		}
		if with == nil {
			return nil, err
		}
		if all, err = with.inventory(ctx, request, spec, paths); err != nil {
			return nil, err
		}
	}
	known := map[string]Known{}
	for _, one := range all {
		known[one.Path] = one
	}
	return known, nil
}

// inventory asks. An attribute of the package set that has the name of a package, and that
// cannot be evaluated at all, must not hide the rest: then it asks for less.
func (c *Catalogue) inventory(ctx context.Context, request Request, spec *catalog.Spec, paths []StoreName) ([]Known, error) {
	flake, err := c.flakeFor(ctx, request)
	if err != nil {
		return nil, err
	}
	var all []Known
	for _, question := range inventoryQuestions(spec, paths) {
		var some []Known
		err := c.nix.Eval(ctx, flake, "libre", fmt.Sprintf(question, true), &some)
		var failure *Error
		if errors.As(err, &failure) {
			err = c.nix.Eval(ctx, flake, "libre", fmt.Sprintf(question, false), &some)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// maxQuestion is less than Linux takes as one argument of a program, which is 128 KiB.
const maxQuestion = 100_000

// inventoryQuestions are the functions that ask: one, but for thousands of paths. Each has a verb
// for whether packages are looked up by name. An older library of the catalogue knows nothing.
func inventoryQuestions(spec *catalog.Spec, paths []StoreName) []string {
	orNull := func(text string) string {
		if text == "" {
			return "null"
		}
		return Quote(text)
	}
	var questions []string
	var list strings.Builder
	ask := func() {
		questions = append(questions, fmt.Sprintf(
			"libre: (libre.inventory or (_: [ ])) { system = %s; app = %s; component = %s; variant = %s; names = %%t; paths = [%s ]; }",
			Quote(spec.System), Quote(spec.App), Quote(spec.Component), Quote(spec.Variant), strings.ReplaceAll(list.String(), "%", "%%")))
		list.Reset()
	}
	for _, path := range paths {
		fmt.Fprintf(&list, " { path = %s; pname = %s; version = %s; }", Quote(path.Path), orNull(path.PName), orNull(path.Version))
		if list.Len() > maxQuestion {
			ask()
		}
	}
	if list.Len() > 0 {
		ask()
	}
	return questions
}

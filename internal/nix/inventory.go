package nix

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// Question asks what the package set, as an image uses it, knows of store paths.
type Question struct {
	Spec  *catalog.Spec // of the image
	Paths []StoreName
}

// Inventory asks the package set, in one evaluation, what it knows of the store paths of images.
// The answers are in the order of the questions, each by store path.
func (c *Catalogue) Inventory(ctx context.Context, questions []Question) ([]map[string]Known, error) {
	var request Request
	for _, q := range questions {
		request.Patterns = append(request.Patterns, catalog.Pattern{App: q.Spec.App, Component: q.Spec.Component, Variant: q.Spec.Variant})
		request.Systems = append(request.Systems, q.Spec.System)
	}
	slices.Sort(request.Systems)
	request.Systems = slices.Compact(request.Systems)
	all, err := c.inventory(ctx, request, questions)
	if err == nil {
		return all, nil
	}
	with, _, done, mirrorErr := c.mirrored(ctx, request, err)
	defer done()
	switch {
	case mirrorErr != nil:
		return nil, mirrorErr
	case with == nil:
		return nil, err
	}
	return with.inventory(ctx, request, questions)
}

func (c *Catalogue) inventory(ctx context.Context, request Request, questions []Question) ([]map[string]Known, error) {
	flake, err := c.flakeFor(ctx, request)
	if err != nil {
		return nil, err
	}
	all := make([]map[string]Known, len(questions))
	for i := range all {
		all[i] = map[string]Known{}
	}
	for _, piece := range inventoryPieces(questions) {
		if err := c.ask(ctx, flake, piece, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// ask evaluates a piece, and adds the answers to those of the questions. An attribute of the
// package set that has the name of a package, and that cannot be evaluated at all, must not hide
// the rest: then each image is asked about alone, and at last without looking up names.
func (c *Catalogue) ask(ctx context.Context, flake Flake, p piece, all []map[string]Known) error {
	var answers [][]Known
	err := c.nix.Eval(ctx, flake, "libre", p.function(true), &answers)
	if errors.As(err, new(*Error)) {
		if len(p) > 1 {
			for _, part := range p {
				if err := c.ask(ctx, flake, piece{part}, all); err != nil {
					return err
				}
			}
			return nil
		}
		err = c.nix.Eval(ctx, flake, "libre", p.function(false), &answers)
	}
	if err != nil {
		return err
	}
	for i, some := range answers[:min(len(answers), len(p))] {
		for _, known := range some {
			all[p[i].question][known.Path] = known
		}
	}
	return nil
}

// A piece is what one evaluation asks.
type piece []part

// A part asks of a question's paths.
type part struct {
	question int // its index
	Question
}

// maxPiece is less than Linux takes as one argument of a program, which is 128 KiB.
const maxPiece = 100_000

// inventoryPieces divides questions so that each piece fits into one argument: one piece, but for
// thousands of paths. A path that several images have is written once a piece.
func inventoryPieces(questions []Question) (pieces []piece) {
	var current piece
	written, size := map[StoreName]bool{}, 0
	for n, q := range questions {
		var paths []StoreName
		add := func() {
			if len(paths) > 0 {
				current = append(current, part{n, Question{q.Spec, paths}})
			}
			paths = nil
		}
		size += 200 // the names of the image, and what is around them
		for _, path := range q.Paths {
			if size > maxPiece {
				add()
				pieces, current = append(pieces, current), nil
				written, size = map[StoreName]bool{}, 200
			}
			if !written[path] {
				size += len(path.expression())
			}
			written[path] = true
			size += len(" 99999") // its place in the table
			paths = append(paths, path)
		}
		add()
	}
	if len(current) > 0 {
		pieces = append(pieces, current)
	}
	return pieces
}

// function writes a piece as a function of the catalogue. An older library of the catalogue knows
// nothing.
func (p piece) function(names bool) string {
	var table, images strings.Builder
	places := map[StoreName]int{}
	for _, one := range p {
		fmt.Fprintf(&images, " { system = %s; app = %s; component = %s; variant = %s; names = %t; paths = map (builtins.elemAt table) [",
			Quote(one.Spec.System), Quote(one.Spec.App), Quote(one.Spec.Component), Quote(one.Spec.Variant), names)
		for _, path := range one.Paths {
			place, there := places[path]
			if !there {
				place = len(places)
				places[path] = place
				table.WriteString(path.expression())
			}
			fmt.Fprintf(&images, " %d", place)
		}
		images.WriteString(" ]; }")
	}
	return fmt.Sprintf("libre: let table = [%s ]; in map (libre.inventory or (_: [ ])) [%s ]", table.String(), images.String())
}

// expression writes a store path in Nix.
func (s StoreName) expression() string {
	orNull := func(text string) string {
		if text == "" {
			return "null"
		}
		return Quote(text)
	}
	return fmt.Sprintf(" { path = %s; pname = %s; version = %s; }", Quote(s.Path), orNull(s.PName), orNull(s.Version))
}

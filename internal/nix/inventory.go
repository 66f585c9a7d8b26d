package nix

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
)

// StoreName is a store path, with the name and version of its package if they are known.
type StoreName struct{ Path, PName, Version string }

// Known is what an evaluation knows about a store path. Unknown fields are empty.
type Known struct {
	Path     string `json:"path"`
	Known    bool   `json:"known"`    // the package was found
	License  string `json:"license"`  // SPDX expression, as the package set declares it
	Homepage string `json:"homepage"` // URL
	CPE      string `json:"cpe"`
	PURL     string `json:"purl"`
}

// Question asks what an image's package set knows about store paths.
type Question struct {
	Spec  *catalog.Spec // of the image
	Paths []StoreName
}

// Inventory asks the package set, in one evaluation, what it knows about the store paths of
// images. It returns one map for each question, in the same order, with the answers by store
// path.
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

// ask evaluates a piece, and adds the answers to the answers of its questions. One attribute of
// the package set that cannot be evaluated must not hide the other answers: after an error ask
// evaluates each image alone, and if that fails too, without looking up packages by name.
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

// A piece is what one evaluation asks about.
type piece []part

// A part asks about some paths of a question.
type part struct {
	question int // its index
	Question
}

// maxPiece is the largest size of a piece in bytes. Linux limits one argument of a program to
// 128 KiB.
const maxPiece = 100_000

// inventoryPieces divides questions so that each piece fits into one argument. There is only
// one piece, unless there are thousands of paths. Each piece contains a path once, even if
// several images have it.
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
		size += 200 // the names of the image, and the text around them
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
			size += len(" 99999") // its index in the table
			paths = append(paths, path)
		}
		add()
	}
	if len(current) > 0 {
		pieces = append(pieces, current)
	}
	return pieces
}

// function returns a piece as a Nix function of the catalogue. If the catalogue's library is
// older and has no inventory, the function returns an empty list.
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

// expression returns a store path as a Nix expression.
func (s StoreName) expression() string {
	orNull := func(text string) string {
		if text == "" {
			return "null"
		}
		return Quote(text)
	}
	return fmt.Sprintf(" { path = %s; pname = %s; version = %s; }", Quote(s.Path), orNull(s.PName), orNull(s.Version))
}

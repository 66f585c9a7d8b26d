package nix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nix-community/go-nix/pkg/derivation"
)

// Valid gives those of the store paths that the store holds. Whether a file
// exists says nothing: failed builds leave theirs behind.
func (n *Nix) Valid(ctx context.Context, paths []string) (map[string]bool, error) {
	valid := map[string]bool{}
	if len(paths) == 0 {
		return valid, nil
	}
	out, err := n.run(ctx, "asking nix what is built", storeCall("--check-validity --print-invalid", paths...))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		valid[path] = true
	}
	for _, path := range strings.Fields(string(out)) {
		delete(valid, path)
	}
	return valid, nil
}

// Graph is what must be built for some derivations: each unbuilt one, with those
// that it needs and that are not built either.
type Graph map[string][]string

// Unbuilt reads the derivations below drvs level by level, down to what the
// store has.
func (n *Nix) Unbuilt(ctx context.Context, drvs []string) (Graph, error) {
	graph := Graph{}
	read := map[string]*derivation.Derivation{}
	for level := drvs; len(level) > 0; {
		var outputs []string
		for _, drv := range level {
			if read[drv] != nil {
				continue
			}
			var err error
			if read[drv], err = readDerivation(drv); err != nil {
				return nil, err
			}
			outputs = append(outputs, outputPaths(read[drv])...)
		}
		valid, err := n.Valid(ctx, outputs)
		if err != nil {
			return nil, err
		}
		var next []string
		for _, drv := range level {
			if _, seen := graph[drv]; seen || allValid(read[drv], valid) {
				continue
			}
			graph[drv] = []string{}
			for input := range read[drv].InputDerivations {
				graph[drv] = append(graph[drv], input)
				if read[input] == nil {
					next = append(next, input)
				}
			}
		}
		level = next
	}
	return graph, nil
}

func readDerivation(path string) (*derivation.Derivation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a derivation: %w", err)
	}
	defer file.Close()
	read, err := derivation.ReadDerivation(file)
	if err != nil {
		return nil, fmt.Errorf("reading the derivation %s: %w", path, err)
	}
	return read, nil
}

// outputPaths leaves out what content-addressed derivations do not know before
// they are built.
func outputPaths(drv *derivation.Derivation) []string {
	var paths []string
	for _, output := range drv.Outputs {
		if output.Path != "" {
			paths = append(paths, output.Path)
		}
	}
	return paths
}

func allValid(drv *derivation.Derivation, valid map[string]bool) bool {
	for _, output := range drv.Outputs {
		if !valid[output.Path] {
			return false
		}
	}
	return true
}

// Below lists a derivation and all below it that must be built for it.
func (g Graph) Below(drv string) []string {
	seen := map[string]bool{}
	var below []string
	var visit func(drv string)
	visit = func(drv string) {
		inputs, unbuilt := g[drv]
		if !unbuilt || seen[drv] {
			return
		}
		seen[drv] = true
		below = append(below, drv)
		for _, input := range inputs {
			visit(input)
		}
	}
	visit(drv)
	return below
}

// FailureOf finds why a derivation has no output: its own failure, or that of
// one it needs.
func (g Graph) FailureOf(drv string, failures map[string]*BuildFailure) error {
	for _, below := range g.Below(drv) {
		if failure := failures[below]; failure != nil {
			return failure
		}
	}
	return errors.New("building " + DrvName(drv) + ": nix gave no reason")
}

package nix

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
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
	out, err := n.run(ctx, "querying the nix store", storeCall("--check-validity --print-invalid", paths...))
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

// Graph is what must be built: derivations, each with those of them that it needs.
type Graph map[string]Node

// Node is one derivation of a graph.
type Node struct {
	Inputs []string
	Fixed  bool // the hash of its output is known: it fetches something
}

// Graph reads how the derivations that are to be built depend on each other. One
// that cannot be read depends on none: it is built all the same.
func (m *Missing) Graph() Graph {
	graph := Graph{}
	for _, drv := range m.Build {
		graph[drv] = Node{}
	}
	for drv := range graph {
		read, err := readDerivation(drv)
		if err != nil {
			continue
		}
		node := Node{}
		for input := range read.InputDerivations {
			if _, missing := graph[input]; missing {
				node.Inputs = append(node.Inputs, input)
			}
		}
		for _, output := range read.Outputs {
			node.Fixed = node.Fixed || output.Hash != ""
		}
		graph[drv] = node
	}
	return graph
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

// Below gives a derivation and all below it that must be built for it: each with
// how many steps it is below at least.
func (g Graph) Below(drv string) map[string]int {
	steps := map[string]int{}
	level := []string{drv}
	for step := 0; len(level) > 0; step++ {
		var next []string
		for _, drv := range level {
			node, missing := g[drv]
			if _, seen := steps[drv]; seen || !missing {
				continue
			}
			steps[drv] = step
			next = append(next, node.Inputs...)
		}
		level = next
	}
	return steps
}

// FailureOf finds why a derivation has no output: its own failure, or that of
// the nearest one that it needs.
func FailureOf(drv string, failures map[string]*BuildFailure) error {
	if failure := failureBelow(drv, failures); failure != nil {
		return failure
	}
	return errors.New("building " + DrvName(drv) + ": nix gave no reason")
}

func failureBelow(drv string, failures map[string]*BuildFailure) *BuildFailure {
	seen := map[string]bool{}
	for level := []string{drv}; len(level) > 0 && len(failures) > 0; {
		var next []string
		for _, drv := range level {
			if seen[drv] {
				continue
			}
			seen[drv] = true
			if failure := failures[drv]; failure != nil {
				return failure
			}
			if read, err := readDerivation(drv); err == nil {
				next = append(next, slices.Sorted(maps.Keys(read.InputDerivations))...)
			}
		}
		level = next
	}
	return nil
}

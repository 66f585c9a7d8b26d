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

// Valid returns which of the store paths are valid. A file that exists is not enough: failed
// builds leave files behind.
func (n *Nix) Valid(ctx context.Context, paths []string) (map[string]bool, error) {
	return n.valid(ctx, paths)
}

// valid is Valid with flags, which may name another store.
func (n *Nix) valid(ctx context.Context, paths []string, flags ...string) (map[string]bool, error) {
	valid := map[string]bool{}
	for some := range slices.Chunk(paths, pathsAtOnce) {
		check := storeCall("--check-validity --print-invalid", some...)
		check.flags = flags
		out, err := n.run(ctx, "querying the nix store", check, batch())
		if err != nil {
			return nil, err
		}
		for _, path := range some {
			valid[path] = true
		}
		for _, path := range strings.Fields(string(out)) {
			delete(valid, path)
		}
	}
	return valid, nil
}

// Graph has the derivations to build, and their dependencies on each other.
type Graph map[string]Node

// Node is one derivation of a graph.
type Node struct {
	Inputs   []string
	Fixed    bool     // a fixed-output derivation, which fetches something
	System   string   // that builds it, such as x86_64-linux, or builtin
	Features []string // that a machine must have to build it
}

// Graph reads the dependencies of the derivations to build. An unreadable derivation has
// none; it is built all the same.
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
		node := Node{System: read.Platform, Features: requiredFeatures(read.Env)}
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

// Below returns a derivation and its dependencies in the graph, each with its shortest
// distance.
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

// FailureOf returns why a derivation has no output: its own failure, or that of its
// nearest dependency.
func FailureOf(drv string, failures map[string]*BuildFailure) error {
	if failure := failureBelow(drv, failures); failure != nil {
		return failure
	}
	return errors.New("building " + DrvName(drv) + ": nix gave no reason; run the same command again, and check the store with nix-store --verify")
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

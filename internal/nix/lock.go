package nix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// ReadLock parses a flake.lock. It returns the locked revision, or else the hash, by the
// name of the input: nixpkgs, and libre/nixpkgs for an input of an input. Inputs that
// follow another one are omitted.
// https://nix.dev/manual/nix/latest/command-ref/new-cli/nix3-flake#lock-files
func ReadLock(text []byte) (map[string]string, error) {
	inputs := map[string]string{}
	err := eachLocked(text, func(name, _ string, locked lockedRef) bool {
		if inputs[name] = locked.Rev; locked.Rev == "" {
			inputs[name] = locked.NarHash
		}
		return true
	})
	return inputs, err
}

// lockedRef is the locked reference of an input.
// https://nix.dev/manual/nix/latest/command-ref/new-cli/nix3-flake#types
type lockedRef struct {
	Type    string `json:"type"`
	Host    string `json:"host"`
	Owner   string `json:"owner"`
	Repo    string `json:"repo"`
	URL     string `json:"url"`
	Path    string `json:"path"`
	Rev     string `json:"rev"`
	NarHash string `json:"narHash"`
}

// eachLocked calls visit for the inputs of a flake.lock, each with its name and node, and
// for an input's own inputs if visit returns true. Inputs that follow another one are
// omitted.
func eachLocked(text []byte, visit func(name, node string, locked lockedRef) bool) error {
	var lock struct {
		Root  string `json:"root"`
		Nodes map[string]struct {
			Inputs map[string]json.RawMessage `json:"inputs"` // a node's name, or a path of inputs to follow
			Locked lockedRef                  `json:"locked"`
		} `json:"nodes"`
	}
	if json.Unmarshal(text, &lock) != nil { // the error could quote the file
		return errors.New("reading flake.lock: it is not a lock file of nix")
	}
	seen := map[string]bool{}
	var below func(path, node string)
	below = func(path, node string) {
		if seen[node] {
			return
		}
		seen[node] = true
		for _, name := range slices.Sorted(maps.Keys(lock.Nodes[node].Inputs)) {
			var to string
			if json.Unmarshal(lock.Nodes[node].Inputs[name], &to) != nil {
				continue // follows another one
			}
			if visit(path+name, to, lock.Nodes[to].Locked) {
				below(path+name+"/", to)
			}
		}
	}
	below("", lock.Root)
	return nil
}

// Replaced returns the names of the overridden inputs, whose locked references have no
// effect.
func (c *Catalogue) Replaced() []string {
	var names []string
	for _, override := range c.flake.Overrides {
		names = append(names, override.Input)
	}
	return names
}

// UpdateLock updates inputs in the catalogue's flake.lock, and locks missing ones. An
// overridden input that is not locked stays so.
func (c *Catalogue) UpdateLock(ctx context.Context, names []string) error {
	path := filepath.Join(c.flake.Dir, "flake.lock")
	before, err := file.ReadOwn(path)
	if err != nil {
		return err
	}
	locked, err := ReadLock(before)
	if err != nil {
		return err
	}
	var replaced []Override
	for _, override := range c.flake.Overrides {
		if _, found := locked[override.Input]; !found {
			replaced = append(replaced, override)
		}
	}
	if !c.nix.AllowLocalInputs {
		if err := c.nix.checkInputs(ctx, c.flake.Dir, replaced, false); err != nil {
			return err
		}
	}
	if err := c.nix.updateLock(ctx, c.flake.Dir, names, replaced); err != nil {
		return err
	}
	after, err := os.ReadFile(path)
	if err == nil {
		after, err = removeInputs(after, replaced)
	}
	if err != nil {
		return err
	}
	return atomicfile.Write(path, after, 0o644)
}

var (
	updatingInput = lazyregexp.New(`while updating the flake input '([^']*)'`)
	gitFatal      = lazyregexp.New(`(?m)^fatal: (.+)$`)
)

// updateLock runs nix to write the lock file. Up to 2.18 `nix flake lock` updates single
// inputs; from 2.19 on, and in Lix, `nix flake update` does.
// https://nix.dev/manual/nix/2.19/release-notes/rl-2.19
func (n *Nix) updateLock(ctx context.Context, dir string, names []string, replaced []Override) error {
	flags := []string{"--refresh", "--show-trace"}
	lock := call{program: "nix", operation: []string{"flake", "lock"}, flags: flags, inputs: replaced, arguments: []string{dir}}
	do := lock // locks missing inputs
	if len(names) > 0 {
		do.operation, do.flags, do.arguments = []string{"flake", "update"}, append(flags, "--flake", dir), names
	}
	log, err := n.logged(ctx, dir, do)
	if err != nil && strings.Contains(log, "unrecognised flag '--flake'") {
		for _, name := range names {
			lock.flags = append(lock.flags, "--update-input", name)
		}
		log, err = n.logged(ctx, dir, lock)
	}
	if err == nil {
		return nil
	}
	doing := "updating flake.lock"
	if input := updatingInput().FindStringSubmatch(log); input != nil {
		doing = "updating the input " + input[1]
	}
	// Nix reports only git's exit code.
	if fatal := gitFatal().FindStringSubmatch(text.Output(log)); fatal != nil && strings.Contains(lastError(log), "'git'") {
		log = "error: " + fatal[1]
	}
	return n.failure(ctx, doing, err, log)
}

// logged runs nix for a catalogue and returns its log.
func (n *Nix) logged(ctx context.Context, dir string, c call) (string, error) {
	cmd := n.command(ctx, c)
	var log strings.Builder
	cmd.Stderr = &log
	cmd.Dir = dir
	err := n.runConfined(ctx, cmd, nil, true) // fetched flakes may have local inputs
	return log.String(), err
}

// removeInputs removes direct inputs from a flake.lock, and formats it like Nix: two
// spaces, sorted, nothing escaped.
func removeInputs(text []byte, replaced []Override) ([]byte, error) {
	if len(replaced) == 0 {
		return text, nil
	}
	var lock map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&lock) != nil {
		return nil, errors.New("reading flake.lock: it is not a lock file of nix")
	}
	nodes, _ := lock["nodes"].(map[string]any)
	root, _ := lock["root"].(string)
	self, _ := nodes[root].(map[string]any)
	inputs, _ := self["inputs"].(map[string]any)
	for _, override := range replaced {
		if node, ok := inputs[override.Input].(string); ok {
			delete(nodes, node)
		}
		delete(inputs, override.Input)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(lock); err != nil {
		return nil, fmt.Errorf("writing flake.lock: %w", err)
	}
	return out.Bytes(), nil
}

package nix

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// ReadLock reads a flake.lock: each input of the flake itself by its name, as the
// revision or the hash that it is locked to.
// https://nix.dev/manual/nix/latest/command-ref/new-cli/nix3-flake#lock-files
func ReadLock(text []byte) (map[string]string, error) {
	var lock struct {
		Root  string `json:"root"`
		Nodes map[string]struct {
			Inputs map[string]json.RawMessage `json:"inputs"` // a node's name, or a path of inputs to follow
			Locked struct {
				Rev     string `json:"rev"`
				NarHash string `json:"narHash"`
			} `json:"locked"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("reading flake.lock: %w", err)
	}
	inputs := map[string]string{}
	for name, raw := range lock.Nodes[lock.Root].Inputs {
		var node string
		if json.Unmarshal(raw, &node) != nil {
			continue // follows another one
		}
		locked := lock.Nodes[node].Locked
		if inputs[name] = locked.Rev; locked.Rev == "" {
			inputs[name] = locked.NarHash
		}
	}
	return inputs, nil
}

// UpdateLock updates the flake.lock of a folder: the inputs with the given names,
// all without any.
func (n *Nix) UpdateLock(ctx context.Context, dir string, names []string) error {
	const doing = "updating flake.lock"
	if len(names) == 0 {
		_, err := n.run(ctx, doing, "nix", "flake", "update", dir)
		if err != nil && ctx.Err() == nil {
			// From 2.19 on what follows is an input's name.
			_, err = n.run(ctx, doing, "nix", "flake", "update", "--flake", dir)
		}
		return err
	}
	args := []string{"flake", "lock", dir}
	for _, name := range slices.Sorted(slices.Values(names)) {
		args = append(args, "--update-input", name)
	}
	_, err := n.run(ctx, doing, "nix", args...)
	if err != nil && ctx.Err() == nil {
		_, err = n.run(ctx, doing, "nix", append([]string{"flake", "update", "--flake", dir}, names...)...)
	}
	return err
}

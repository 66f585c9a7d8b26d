package nix

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/nix-community/go-nix/pkg/derivation"
)

// FixedOutputs finds, among the dependencies of derivations, the fixed-output derivations with
// one of the hashes (SRI), and returns them by hash. If several have the hash, it returns one
// that this machine can build.
func (n *Nix) FixedOutputs(ctx context.Context, drvs, hashes []string) (map[string]string, error) {
	const doing = "looking for fixed outputs with unknown hashes"
	if len(drvs) == 0 {
		return nil, nil
	}
	wanted := map[string][]byte{}
	for _, hash := range hashes {
		_, sum, _ := strings.Cut(hash, "-")
		raw, err := base64.StdEncoding.DecodeString(sum)
		if err != nil {
			return nil, fmt.Errorf("%s: hash %q: %w", doing, hash, err)
		}
		wanted[hash] = []byte(`"` + hex.EncodeToString(raw) + `"`)
	}
	out, err := n.run(ctx, doing, storeCall("--query --requisites", drvs...))
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	machine, _ := MachineSystem()
	for _, path := range strings.Fields(string(out)) {
		if !strings.HasSuffix(path, ".drv") {
			continue
		}
		// A derivation contains the hexadecimal hash of its own output, and no other.
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		for hash, text := range wanted {
			local := bytes.Contains(content, []byte(`,"`+machine+`",`))
			if bytes.Contains(content, text) && (found[hash] == "" || local) {
				found[hash] = path
			}
		}
	}
	return found, nil
}

// Fixed is a fixed-output derivation.
type Fixed struct {
	Drv  string
	Hash string   // SRI
	URLs []string // URLs that it fetches; empty if the derivation names none
}

// FixedOutputDiff compares the fixed outputs of two sets of derivations.
type FixedOutputDiff struct {
	Removed, Added, Kept []Fixed
}

// DiffFixedOutputs compares the fixed outputs that derivations depend on before and after
// a change.
func (n *Nix) DiffFixedOutputs(ctx context.Context, before, after []string) (FixedOutputDiff, error) {
	var change FixedOutputDiff
	was, err := n.requisites(ctx, before)
	if err != nil {
		return change, err
	}
	is, err := n.requisites(ctx, after)
	if err != nil {
		return change, err
	}
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, drv := range slices.Sorted(maps.Keys(all)) {
		read, err := readDerivation(drv)
		if err != nil {
			return change, err
		}
		output := read.Outputs["out"]
		switch {
		case output == nil || output.HashAlgorithm == "":
		case !is[drv]:
			change.Removed = append(change.Removed, fixed(drv, read))
		case !was[drv]:
			change.Added = append(change.Added, fixed(drv, read))
		default:
			change.Kept = append(change.Kept, fixed(drv, read))
		}
	}
	return change, nil
}

// requisites returns derivations and all of their dependencies.
func (n *Nix) requisites(ctx context.Context, drvs []string) (map[string]bool, error) {
	all := map[string]bool{}
	if len(drvs) == 0 {
		return all, nil
	}
	out, err := n.run(ctx, "reading the derivations of images", storeCall("--query --requisites", drvs...))
	for _, path := range strings.Fields(string(out)) {
		if strings.HasSuffix(path, ".drv") {
			all[path] = true
		}
	}
	return all, err
}

func fixed(drv string, read *derivation.Derivation) Fixed {
	output := read.Outputs["out"]
	algorithm := strings.TrimPrefix(output.HashAlgorithm, "r:")
	f := Fixed{Drv: drv, Hash: algorithm + "-" + output.Hash}
	if raw, err := hex.DecodeString(output.Hash); err == nil {
		f.Hash = algorithm + "-" + base64.StdEncoding.EncodeToString(raw)
	}
	f.URLs = strings.Fields(read.Env["url"] + " " + read.Env["urls"])
	var structured struct {
		URL  string   `json:"url"`
		URLs []string `json:"urls"`
	}
	if text := read.Env["__json"]; text != "" && json.Unmarshal([]byte(text), &structured) == nil {
		f.URLs = append(append(f.URLs, structured.URLs...), strings.Fields(structured.URL)...)
	}
	return f
}

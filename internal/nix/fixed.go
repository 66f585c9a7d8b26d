package nix

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// FixedOutputs finds, among the derivations that some derivations need, those
// whose output must have one of the given hashes (SRI): hash → derivation.
func (n *Nix) FixedOutputs(ctx context.Context, drvs, hashes []string) (map[string]string, error) {
	const doing = "looking for what has an unknown hash"
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
	for _, path := range strings.Fields(string(out)) {
		if !strings.HasSuffix(path, ".drv") {
			continue
		}
		// A derivation has the hash of its own output in hexadecimal, and no other's.
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		for hash, text := range wanted {
			if bytes.Contains(content, text) {
				found[hash] = path
			}
		}
	}
	return found, nil
}

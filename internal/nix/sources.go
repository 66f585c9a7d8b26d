package nix

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/nix-community/go-nix/pkg/nixbase32"

	"github.com/libresh/libre/internal/private"
)

// StoreSource is a folder in the store, with the hash that a pure evaluation needs.
type StoreSource struct {
	Path    string `json:"path"`    // /nix/store/…-source
	NarHash string `json:"narHash"` // SRI
}

// FlakeRef returns the locked flake reference of the folder. The hash is escaped for a
// URL; Nix reads "+" literally.
func (s StoreSource) FlakeRef() string {
	return "path:" + s.Path + "?narHash=" + url.QueryEscape(s.NarHash)
}

// AddCached returns the source that was added under the same key before, or adds the
// folder that make returns. A GC root holds the path. Errors of the cache itself are
// ignored: the source is added again.
func (n *Nix) AddCached(ctx context.Context, key string, make func() (dir string, done func(), err error)) (StoreSource, error) {
	file, source, known := n.cached(key)
	if known {
		return source, nil
	}
	dir, done, err := make()
	if err != nil {
		return StoreSource{}, err
	}
	defer done()
	if source, err = n.AddSource(ctx, dir); err != nil {
		return StoreSource{}, err
	}
	if err := private.Folder(filepath.Dir(file)); err == nil {
		hold := storeCall("--realise", source.Path)
		hold.flags = []string{"--indirect", "--add-root", file + ".root"}
		_, _ = n.run(ctx, "holding "+source.Path, hold)
		if text, err := json.Marshal(source); err == nil {
			_ = private.Replace(file+".json", text)
		}
	}
	return source, nil
}

// cached looks up a source, and returns the path of its cache file without extension.
func (n *Nix) cached(key string) (file string, source StoreSource, known bool) {
	sum := sha256.Sum256([]byte(key))
	file = filepath.Join(n.CacheDir, "sources", hex.EncodeToString(sum[:16]))
	if text, err := private.ReadCached(file + ".json"); err == nil && json.Unmarshal(text, &source) == nil {
		_, err := os.Stat(source.Path)
		return file, source, err == nil
	}
	return file, source, false
}

// sriHash converts a hash as the store prints it (sha256:BASE32 or sha256:BASE16) to SRI
// (sha256-BASE64).
func sriHash(hash string) (string, error) {
	digits, found := strings.CutPrefix(hash, "sha256:")
	if !found {
		return "", fmt.Errorf("hash %q, expected sha256:…", hash)
	}
	var sum []byte
	var err error
	if len(digits) == 2*sha256.Size {
		sum, err = hex.DecodeString(digits)
	} else {
		sum, err = nixbase32.DecodeString(digits)
	}
	if err != nil {
		return "", fmt.Errorf("hash %q: %w", hash, err)
	}
	return "sha256-" + base64.StdEncoding.EncodeToString(sum), nil
}

// SourcePath returns the store path of a tree with the name "source", which every fetched
// source has, by the SRI sha256 of its NAR.
// https://nix.dev/manual/nix/latest/protocols/store-path
func SourcePath(hash string) (string, error) {
	digits, found := strings.CutPrefix(hash, "sha256-")
	sum, err := base64.StdEncoding.DecodeString(digits)
	if !found || err != nil || len(sum) != sha256.Size {
		return "", fmt.Errorf("hash %q, expected sha256-…", hash)
	}
	const store, name = "/nix/store", "source"
	whole := sha256.Sum256([]byte("source:sha256:" + hex.EncodeToString(sum) + ":" + store + ":" + name))
	folded := make([]byte, 20)
	for i, b := range whole {
		folded[i%len(folded)] ^= b
	}
	return store + "/" + nixbase32.EncodeToString(folded) + "-" + name, nil
}

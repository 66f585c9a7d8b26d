package nix

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
)

// BinaryCache is a binary cache of Nix that receives build results.
type BinaryCache struct {
	To      string // its address: file://, https:// or s3://
	KeyFile string // with the secret key that signs; Nix reads it
}

// CopyTo copies store paths and their closures to a binary cache, signed. It does not send
// paths that the cache has.
func (n *Nix) CopyTo(ctx context.Context, cache BinaryCache, paths []string) error {
	to, err := cache.signing()
	if err != nil {
		return err
	}
	err = n.copy(ctx, "copying to "+cache.To, paths, []string{"--to", to})
	var known *fault.Fault
	if errors.As(err, &known) && (known.Fix == fixStore || known.Fix == fixReadOnly) { // it only reads the store
		known.Fix = "make room in the cache, or make it writable, and run the same command again"
	}
	return err
}

// copy copies store paths and their closures between stores, as flags of nix copy say.
func (n *Nix) copy(ctx context.Context, doing string, paths, flags []string, environment ...string) error {
	for some := range slices.Chunk(paths, pathsAtOnce) {
		if _, err := n.run(ctx, doing, call{program: "nix", operation: []string{"copy"}, flags: flags, arguments: some}, environment...); err != nil {
			return err
		}
	}
	return nil
}

// signing returns the address with the path of the key's file, in Nix's form.
func (c BinaryCache) signing() (string, error) {
	to, err := url.Parse(c.To)
	if err != nil {
		return "", err
	}
	to.RawQuery = strings.TrimPrefix(to.RawQuery+"&"+nixQuery(url.Values{"secret-key": {c.KeyFile}}), "&")
	return to.String(), nil
}

var errNoKey = errors.New("no secret key of Nix, which is NAME:BASE64")

// CheckCacheKey checks the file of a secret key, which errors call name. They do not quote it.
func CheckCacheKey(file, name string) error {
	content, err := os.ReadFile(file)
	if err == nil {
		// https://nixos.org/manual/nix/stable/command-ref/nix-store/generate-binary-cache-key
		cache, encoded, _ := strings.Cut(strings.TrimSpace(string(content)), ":")
		if key, wrong := base64.StdEncoding.DecodeString(encoded); wrong != nil || len(key) != 64 || cache == "" || strings.ContainsAny(cache, " \n") {
			err = fmt.Errorf("%s has %w", name, errNoKey)
		}
	}
	if err != nil {
		return &fault.Fault{Doing: "reading the key of cache", Err: err,
			Fix: "make one with nix-store --generate-binary-cache-key cache.example-1 cache.key cache.pub"}
	}
	return nil
}

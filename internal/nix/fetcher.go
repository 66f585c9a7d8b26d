package nix

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nix-community/go-nix/pkg/derivation"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Fetcher fetches what needs a login. Neither Nix nor its builds see the login: the result
// is added to the store under the hash of the definition.
type Fetcher interface {
	// HasLogin reports whether there is a login for a URL.
	HasLogin(location string) bool
	// Hint says how to log in for a URL, "" if unknown.
	Hint(location string) string
	// Download fetches a file to a new path.
	Download(ctx context.Context, location, path string) error
	// Unpack fetches an archive and unpacks it, without its top folder, into a new folder.
	// It returns the SRI sha256 of the folder's NAR.
	Unpack(ctx context.Context, location, dir string) (hash string, err error)
	// Mirror makes a bare repository in an empty folder, with the history of commits.
	Mirror(ctx context.Context, location string, commits []string, dir string) error
}

// fetcher returns the fetcher; nil if there is none.
func (n *Nix) fetcher() (Fetcher, error) {
	if n.Fetcher == nil {
		return nil, nil
	}
	return n.Fetcher()
}

// fetchFailed fetches with a login what Nix could not fetch, and returns the derivations
// with an output in the store now. It updates the failures of the others.
func (n *Nix) fetchFailed(ctx context.Context, failures map[string]*BuildFailure, tried map[string]bool) (fetched []string, err error) {
	fetcher, err := n.fetcher()
	if err != nil || fetcher == nil {
		return nil, err
	}
	for drv, failure := range failures {
		if tried[drv] || failure.Wanted != "" {
			continue
		}
		tried[drv] = true
		read, err := readDerivation(drv)
		if err != nil || read.Outputs["out"] == nil || read.Outputs["out"].HashAlgorithm == "" {
			continue
		}
		urls := fixed(drv, read).URLs
		if i := slices.IndexFunc(urls, fetcher.HasLogin); i >= 0 {
			*failure = BuildFailure{Drv: drv}
			if err := n.fetchFixed(ctx, fetcher, urls[i], read, failure); err != nil {
				return fetched, err
			}
			if failure.Message == "" {
				fetched = append(fetched, drv)
			}
		} else if len(urls) > 0 && refusedStatus().MatchString(strings.Join(append(failure.Tail, failure.Message), "\n")) {
			if hint := fetcher.Hint(urls[0]); hint != "" {
				failure.Message += ": if it is private, " + hint
			}
		}
	}
	for _, drv := range fetched {
		delete(failures, drv)
	}
	return fetched, ctx.Err()
}

// refusedStatus matches the HTTP status that fetchers report for denied access.
var refusedStatus = lazyregexp.New(`\b40[134]\b`)

// fetchFixed fetches a URL and adds it to the store, if it has the hash of the fixed
// output. Otherwise it sets the reason in failure.
func (n *Nix) fetchFixed(ctx context.Context, fetcher Fetcher, url string, read *derivation.Derivation, failure *BuildFailure) error {
	dir, err := os.MkdirTemp("", "libre-fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	output, wanted := read.Outputs["out"], fixed(failure.Drv, read).Hash
	algorithm, recursive := strings.CutPrefix(output.HashAlgorithm, "r:")
	_, name, _ := strings.Cut(filepath.Base(output.Path), "-")
	add := storeCall("--add-fixed", algorithm, filepath.Join(dir, name))
	got := ""
	if recursive {
		add.flags = []string{"--recursive"}
		got, err = fetcher.Unpack(ctx, url, filepath.Join(dir, name))
	} else if err = fetcher.Download(ctx, url, filepath.Join(dir, name)); err == nil {
		got, err = hashFileSRI(filepath.Join(dir, name), algorithm)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		failure.Message = err.Error()
		return nil
	case got != wanted: // the store is world-readable: add nothing unexpected
		failure.Wanted, failure.Got = wanted, got
		failure.Message = mismatch(wanted, got)
		return nil
	}
	_, err = n.run(ctx, "adding the source of "+DrvName(failure.Drv)+" to the nix store", add)
	return err
}

// hashFileSRI returns the hash of a file, as SRI.
func hashFileSRI(path, algorithm string) (string, error) {
	sum := map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}[algorithm]
	if sum == nil {
		return "", fmt.Errorf("unsupported hash algorithm %s, expected sha256 or sha512", algorithm)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	digest := sum()
	if _, err := io.Copy(digest, file); err != nil {
		return "", err
	}
	return algorithm + "-" + base64.StdEncoding.EncodeToString(digest.Sum(nil)), nil
}

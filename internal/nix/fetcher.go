package nix

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Fetcher fetches what opens to a login alone. Neither Nix nor what it builds sees one:
// what was fetched is put into the store under the hash that the definition has.
type Fetcher interface {
	// Opens tells whether there is a login for a URL.
	Opens(location string) bool
	// Hint says how to log in where a URL leads, "" where that is not known.
	Hint(location string) string
	// Download fetches a file, which it makes.
	Download(ctx context.Context, location, path string) error
	// Unpack fetches an archive into a folder, which it makes, without its top folder.
	Unpack(ctx context.Context, location, dir string) error
	// Mirror makes a bare repository in an empty folder, with commits and their history.
	Mirror(ctx context.Context, location string, commits []string, dir string) error
}

// fetcher is nil where there is none.
func (n *Nix) fetcher() (Fetcher, error) {
	if n.Fetcher == nil {
		return nil, nil
	}
	return n.Fetcher()
}

// hint says how to log in where a URL leads, "" where that is not known.
func (n *Nix) hint(location string) string {
	if fetcher, err := n.fetcher(); err == nil && fetcher != nil {
		return fetcher.Hint(location)
	}
	return ""
}

// fetchFailed fetches, with a login, what Nix could not fetch, and gives the
// derivations that the store has the output of then. The others' failures say why not.
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
		if i := slices.IndexFunc(urls, fetcher.Opens); i >= 0 {
			algorithm, recursive := strings.CutPrefix(read.Outputs["out"].HashAlgorithm, "r:")
			*failure = BuildFailure{Drv: drv}
			if err := n.fetchFixed(ctx, fetcher, urls[i], algorithm, recursive, read.Outputs["out"].Path, failure); err != nil {
				return fetched, err
			}
			if failure.Message == "" {
				fetched = append(fetched, drv)
			}
		} else if len(urls) > 0 && refusedStatus.MatchString(strings.Join(append(failure.Tail, failure.Message), "\n")) {
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

// refusedStatus is what fetchers say of what they are not let see.
var refusedStatus = regexp.MustCompile(`\b40[134]\b`)

// fetchFixed puts what a URL has into the store, as a store path that has its hash in
// its name. Why that is not possible it says in the failure.
func (n *Nix) fetchFixed(ctx context.Context, fetcher Fetcher, url, algorithm string, recursive bool, path string, failure *BuildFailure) error {
	dir, err := os.MkdirTemp("", "libre-fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	_, name, _ := strings.Cut(filepath.Base(path), "-")
	at := filepath.Join(dir, name)
	add := storeCall("--add-fixed")
	if recursive {
		add.flags = []string{"--recursive"}
		err = fetcher.Unpack(ctx, url, at)
	} else {
		err = fetcher.Download(ctx, url, at)
	}
	if err != nil {
		failure.Message = err.Error()
		return ctx.Err()
	}
	add.arguments = []string{algorithm, at}
	out, err := n.run(ctx, "adding what "+DrvName(failure.Drv)+" is to the nix store", add)
	if err != nil {
		return err
	}
	if added := strings.TrimSpace(string(out)); added != path {
		failure.Message = "hash mismatch: the definition has another hash than what " + url + " has"
		if read, err := readDerivation(failure.Drv); err == nil && recursive && algorithm == "sha256" {
			if got, err := n.run(ctx, "reading a hash", storeCall("--query --hash", added)); err == nil {
				failure.Wanted = fixed(failure.Drv, read).Hash
				failure.Got, _ = sriHash(strings.TrimSpace(string(got)))
				failure.Message = "hash mismatch: the definition has " + failure.Wanted + ", the source is " + failure.Got
			}
		}
	}
	return nil
}

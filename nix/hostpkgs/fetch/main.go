// Command fetch downloads a URL to a path, for fixed-output derivations: Nix
// checks what it wrote against a hash, so nothing is verified here.
//
//	fetch [-unpack] URL OUT
//
// With -unpack, the archive (a zip, or a tar, as it is or compressed by gzip, xz, zstd
// or bzip2) is unpacked into OUT and its single top folder is left out, as nixpkgs'
// fetchzip does. A single file goes into a folder.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	unpack := flag.Bool("unpack", false, "unpack the archive and leave out its top folder")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: fetch [-unpack] URL OUT")
		os.Exit(2)
	}
	if err := fetch(flag.Arg(0), flag.Arg(1), *unpack); err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}

func fetch(url, out string, unpack bool) error {
	if !unpack {
		return download(url, out)
	}
	archive := out + ".archive"
	if dir := os.Getenv("TMPDIR"); dir != "" {
		archive = dir + "/archive"
	}
	defer os.Remove(archive)
	if err := download(url, archive); err != nil {
		return err
	}
	if err := unpackArchive(archive, out); err != nil {
		return fmt.Errorf("unpacking %s: %w", url, err)
	}
	return nil
}

// temporary marks an error after which the same request may go through.
type temporary struct{ error }

// download writes the body of url to path, and tries again after failures of the
// network and of the server.
func download(url, path string) error {
	const tries = 4
	var err error
	for try := range tries {
		if try > 0 {
			time.Sleep(time.Duration(1<<try) * time.Second / 2)
		}
		err = downloadOnce(url, path)
		if !errors.As(err, new(temporary)) {
			return err
		}
	}
	return err
}

func downloadOnce(url, path string) error {
	response, err := http.Get(url)
	if err != nil {
		return temporary{err}
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		err := fmt.Errorf("getting %s: %s", url, strings.ToLower(response.Status))
		if response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests {
			return temporary{err}
		}
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, response.Body); err != nil {
		return temporary{fmt.Errorf("getting %s: %w", url, err)}
	}
	return file.Close()
}

package nix

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/text"
)

// Input is something that a catalogue is evaluated with, as a provenance names it.
// https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
type Input struct {
	Name   string            // flake input nixpkgs
	URI    string            // an SPDX download location or a package URL; "" for folders outside of the store
	Digest map[string]string // gitCommit, in hexadecimal; narHash, SRI as flake.lock has it
}

const storeFolder = "/nix/store/"

// Inputs lists what the images are evaluated with: the inputs of flake.lock, and what
// this run replaces in their place; of the host package set its parts too. Where the
// lock file has two names for one input, the first is used.
func (c *Catalogue) Inputs(ctx context.Context) ([]Input, error) {
	flake, err := c.flakeFor(ctx, Request{AllSystems: true})
	if err != nil {
		return nil, err
	}
	lock, err := file.ReadOwn(filepath.Join(flake.Dir, "flake.lock"))
	if errors.Is(err, fs.ErrNotExist) {
		lock, err = []byte("{}"), nil
	}
	if err != nil {
		return nil, err
	}
	var inputs []Input
	add := func(name string, locked lockedRef) {
		inputs = append(inputs, Input{Name: "flake input " + name, URI: locked.uri(), Digest: locked.digest()})
		if strings.HasPrefix(locked.Path, storeFolder) {
			inputs = append(inputs, hostParts(locked.Path)...)
		}
	}
	known := map[string]bool{}
	err = eachLocked(lock, func(name, node string, locked lockedRef) bool {
		replaced := slices.Contains(c.Replaced(), name)
		// A relative path, of Nix 2.26 and later, is a folder of the catalogue.
		if !replaced && !known[node] && len(locked.digest()) > 0 {
			add(name, locked)
		}
		known[node] = known[node] || !replaced
		return !replaced
	})
	for _, override := range flake.Overrides {
		add(override.Input, readPathRef(override.Ref))
	}
	return inputs, err
}

// readPathRef reads what StoreSource.FlakeRef wrote.
func readPathRef(ref string) lockedRef {
	path, query, _ := strings.Cut(strings.TrimPrefix(ref, "path:"), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return lockedRef{}
	}
	return lockedRef{Type: "path", Path: path, NarHash: values.Get("narHash")}
}

// forges are where flake references of a type are, unless they name a host.
var forges = map[string]string{"github": "github.com", "gitlab": "gitlab.com", "sourcehut": "git.sr.ht"}

// uri is where an input comes from, for everybody to read: without credentials, and
// without the places of this machine.
func (r lockedRef) uri() string {
	place := text.PublicURL(r.URL)
	switch {
	case forges[r.Type] != "":
		host := forges[r.Type]
		if r.Host != "" {
			host = r.Host
		}
		owner, err := url.PathUnescape(r.Owner) // GitLab's groups have "/" in it
		if err != nil {
			return ""
		}
		place = "git+https://" + host + "/" + owner + "/" + r.Repo
	case r.Type == "git" && place != "":
		place = "git+" + place
	case r.Type == "hg" && place != "":
		place = "hg+" + place
	case r.Type == "path" && strings.HasPrefix(r.Path, storeFolder):
		return "file://" + r.Path
	default:
		return place
	}
	if place != "" && r.Rev != "" {
		place += "@" + r.Rev
	}
	return place
}

func (r lockedRef) digest() map[string]string {
	digest := map[string]string{}
	if r.NarHash != "" {
		digest["narHash"] = r.NarHash
	}
	if r.Rev != "" && r.Type != "hg" {
		digest["gitCommit"] = r.Rev
	}
	return digest
}

// hostParts are the parts of a folder that is the host package set.
func hostParts(folder string) []Input {
	content, err := os.ReadFile(filepath.Join(folder, "host.json"))
	var host hostSet
	if err != nil || json.Unmarshal(content, &host) != nil || host.Go.NarHash == "" {
		return nil
	}
	part := func(name string, p hostPart) Input {
		return Input{Name: "host package " + name, URI: "pkg:generic/" + name + "@" + p.Version, Digest: map[string]string{"narHash": p.NarHash}}
	}
	certificates := part("ca-certificates", host.CACert)
	certificates.URI = "" // its version is a part of its hash
	return []Input{part("go", host.Go), part("busybox", host.Busybox), certificates}
}

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

// Input is an input of an evaluation, for a provenance.
// https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
type Input struct {
	Name   string            // flake input nixpkgs
	URI    string            // an SPDX download location or a package URL; "" for folders outside of the store
	Digest map[string]string // gitCommit in hexadecimal, narHash in SRI
}

const storeFolder = "/nix/store/"

// Inputs lists the inputs of the images' evaluation: the inputs in flake.lock, or their
// overrides, and the parts of the host package set. If the lock file has two names for one
// input, it uses the first.
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
		// A relative path, from Nix 2.26 on, is a folder of the catalogue.
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

// readPathRef parses the result of StoreSource.FlakeRef.
func readPathRef(ref string) lockedRef {
	path, query, _ := strings.Cut(strings.TrimPrefix(ref, "path:"), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return lockedRef{}
	}
	return lockedRef{Type: "path", Path: path, NarHash: values.Get("narHash")}
}

// forges has the default hosts of flake reference types.
var forges = map[string]string{"github": "github.com", "gitlab": "gitlab.com", "sourcehut": "git.sr.ht"}

// uri returns the public URI of an input, without credentials and local paths.
func (r lockedRef) uri() string {
	uri := text.PublicURL(r.URL)
	switch {
	case forges[r.Type] != "":
		host := forges[r.Type]
		if r.Host != "" {
			host = r.Host
		}
		owner, err := url.PathUnescape(r.Owner) // GitLab's groups can contain "/"
		if err != nil {
			return ""
		}
		uri = "git+https://" + host + "/" + owner + "/" + r.Repo
	case r.Type == "git" && uri != "":
		uri = "git+" + uri
	case r.Type == "hg" && uri != "":
		uri = "hg+" + uri
	case r.Type == "path" && strings.HasPrefix(r.Path, storeFolder):
		return "file://" + r.Path
	default:
		return uri
	}
	if uri != "" && r.Rev != "" {
		uri += "@" + r.Rev
	}
	return uri
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

// hostParts returns the parts of the host package set in a folder; nil if it is another folder.
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
	certificates.URI = "" // its version is only a part of its hash
	return []Input{part("go", host.Go), part("busybox", host.Busybox), certificates}
}

package cli

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/web"
)

// reach is how registries are reached.
func (p *place) reach(insecure bool) registry.Options {
	return registry.Options{Insecure: insecure, Authorities: p.authorities, Notes: p.note}
}

// readAuthorities reads the file that ca in libre.yaml names; nil where it names none.
// git and nix, which take one file of all authorities alone, get the system's and
// these, unless the environment names a file already.
func (p *place) readAuthorities() (*web.Authorities, error) {
	if p.config.CA == "" {
		return nil, nil
	}
	wrong := func(err error) error {
		return &fault.Fault{Doing: "reading ca of libre.yaml", Err: err, Fix: "name a file of certificates in PEM, for example: ca: our-ca.pem"}
	}
	read, err := web.ReadAuthorities(p.resolve(p.config.CA))
	if err != nil {
		return nil, wrong(err)
	}
	bundle := read.Bundle()
	file := filepath.Join(p.cacheDir, fmt.Sprintf("authorities-%x.pem", sha256.Sum256(bundle)))
	if _, err := os.Stat(file); err != nil {
		if err := os.MkdirAll(p.cacheDir, 0o700); err != nil {
			return nil, wrong(err)
		}
		if err := os.WriteFile(file, bundle, 0o600); err != nil {
			return nil, wrong(err)
		}
	}
	process.Trust(file)
	return read, nil
}

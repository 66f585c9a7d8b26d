package cli

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"

	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/registry"
)

// reach is how registries are reached.
func (p *place) reach(insecure bool) registry.Options {
	return registry.Options{Insecure: insecure, Authorities: p.config.CA, Notes: p.note}
}

// trustAuthorities has git and nix trust what ca in libre.yaml names. They take one file of
// all authorities alone, and get the system's and these, unless the environment names one.
func (p *place) trustAuthorities() error {
	if p.config.CA == nil {
		return nil
	}
	bundle := p.config.CA.Bundle()
	file := filepath.Join(p.cacheDir, fmt.Sprintf("authorities-%x.pem", sha256.Sum256(bundle)))
	if there, err := private.Read(file); err != nil || !bytes.Equal(there, bundle) {
		if err := private.Replace(file, bundle); err != nil {
			return err
		}
	}
	process.Trust(file)
	return nil
}

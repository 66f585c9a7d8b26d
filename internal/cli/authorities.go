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
func (ws *workspace) reach(insecure bool) registry.Options {
	return registry.Options{Insecure: insecure, Authorities: ws.config.CA, Notes: ws.note}
}

// trustAuthorities has git and nix trust what ca in libre.yaml names. They take one file of
// all authorities alone, and get the system's and these, unless the environment names one.
func (ws *workspace) trustAuthorities() error {
	if ws.config.CA == nil {
		return nil
	}
	bundle := ws.config.CA.Bundle()
	file := filepath.Join(ws.cacheDir, fmt.Sprintf("authorities-%x.pem", sha256.Sum256(bundle)))
	if there, err := private.Read(file); err != nil || !bytes.Equal(there, bundle) {
		if err := private.Replace(file, bundle); err != nil {
			return err
		}
	}
	process.Trust(file)
	return nil
}

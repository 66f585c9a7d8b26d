package cli

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/publish"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/vex"
	"github.com/libresh/libre/internal/withdrawn"
)

// builder builds the catalogue's images into an OCI layout, one at a time.
func (ws *workspace) builder(ctx context.Context, output string) (*build.Builder, error) {
	catalogue, err := ws.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	output = ws.output(output)
	if err := refuseTracked(ctx, output); err != nil {
		return nil, err
	}
	return &build.Builder{
		Nix: ws.nix, Catalogue: catalogue, Engine: ws.engine(),
		Steps: ws.steps(), Storage: ws.settings.Limits.Storage,
		Output: output, CacheDir: ws.cacheDir, LogDir: ws.logDir(), Jobs: 1,
		Creator: ws.settings.SBOM.Creator, Published: ws.published,
	}, nil
}

// engine returns the settings of what builds Containerfiles.
func (ws *workspace) engine() containerfile.Choice {
	choice := ws.settings.Engine
	choice.BuildKit.Registries = registry.NewReader(ws.clientOptions(false))
	return choice
}

// steps returns the settings of Containerfiles' build steps.
func (ws *workspace) steps() containerfile.Steps {
	set := ws.settings.Build
	steps := containerfile.Steps{TrustUpstream: set.TrustUpstream, Proxy: set.Proxy, Secrets: set.Secrets, SSH: set.SSH}
	if variable, ok := strings.CutPrefix(set.Proxy, "env://"); ok {
		if value, isSet := os.LookupEnv(variable); isSet {
			steps.Proxy = value
		}
	}
	if set.CA != nil {
		steps.CA = set.CA.Bundle()
	}
	return steps
}

// published returns the registry in libre.yaml, and how to verify its signatures. Each is
// nil if libre.yaml does not set it.
func (ws *workspace) published(ctx context.Context) (*registry.Client, *state.Signing, error) {
	if ws.settings.Registry == "" {
		return nil, nil, nil
	}
	client, err := ws.registry(registryOptions{})
	if err != nil {
		return nil, nil, err
	}
	signing, err := ws.verifying(ctx, registryOptions{}, client)
	if errors.As(err, new(usageError)) {
		return client, nil, nil
	}
	return client, signing, err
}

// publisher publishes the catalogue's images with the given options. It has no signing yet.
func (e *env) publisher(ctx context.Context, ws *workspace, o registryOptions, output string) (*publish.Publisher, error) {
	reader, err := e.comparer(ctx, ws, o, output)
	if err != nil {
		return nil, err
	}
	builder, err := ws.builder(ctx, output)
	return &publish.Publisher{Reader: reader, Builder: builder}, err
}

// layoutReader compares the catalogue with the OCI layout.
func (e *env) layoutReader(ctx context.Context, ws *workspace, output string) (*state.Reader, error) {
	catalogue, err := ws.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	output = ws.output(output)
	if err := refuseTracked(ctx, output); err != nil {
		return nil, err
	}
	return &state.Reader{
		Nix: ws.nix, Catalogue: catalogue, Output: output, Warn: (&buildWatcher{env: e}).Warn,
		Stated: func(app catalog.App) ([]vex.Statement, error) { return vex.Load(ws.dir, app, time.Now()) },
	}, nil
}

// comparer compares the catalogue with the OCI layout and the registries. It has no signing
// yet.
func (e *env) comparer(ctx context.Context, ws *workspace, o registryOptions, output string) (*state.Reader, error) {
	clients, err := ws.registries(o)
	if err != nil {
		return nil, err
	}
	reader, err := e.layoutReader(ctx, ws, output)
	if err != nil {
		return nil, err
	}
	reader.Registry, reader.CopyTo, reader.AlsoTags = clients[0], clients[1:], ws.settings.AlsoTag
	reader.Withdrawn, err = withdrawn.Load(ws.dir)
	return reader, err
}

// reader compares the catalogue with what is published, and verifies signatures.
func (e *env) reader(ctx context.Context, ws *workspace, o registryOptions) (*state.Reader, error) {
	reader, err := e.comparer(ctx, ws, o, "")
	if err != nil {
		return nil, err
	}
	defer e.warnLeftOut(ctx, ws)()
	reader.Signing, err = ws.verifying(ctx, o, reader.Registry)
	return reader, err
}

// scanner recognises packages in files, within the limits of libre.yaml.
func (ws *workspace) scanner() (*sbom.Scanner, error) {
	limits := ws.settings.Limits
	return sbom.NewScanner(sbom.Limits{Image: limits.Image, Nested: limits.Nested, Memory: limits.Memory})
}

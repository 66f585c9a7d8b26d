package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/kit"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/sign"
)

// kitOptions say for which tools render writes how to follow and verify images.
type kitOptions struct {
	renovate, flux, policy bool
	cosignPolicy           []string        // verifiers
	registry               registryOptions // without insecure and signer
}

func (o *kitOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&o.renovate, "renovate", false, "write presets for Renovate")
	flags.BoolVar(&o.flux, "flux", false, "write ImageRepository and ImagePolicy objects for Flux")
	flags.StringSliceVar(&o.cosignPolicy, "cosign-policy", nil, "write policies for `TOOL`: kyverno or policy-controller (default: both)")
	flags.Lookup("cosign-policy").NoOptDefVal = kit.Kyverno + "," + kit.PolicyController
	flags.BoolVar(&o.policy, "policy", false, "write policy.json and registries.d for skopeo, podman, buildah and CRI-O")
}

func (o kitOptions) given() bool { return o.renovate || o.flux || len(o.cosignPolicy) > 0 || o.policy }

// renderKit renders the files of all tools that are asked for. A catalogue is needed only
// for files that list images.
func (e *env) renderKit(ctx context.Context, o kitOptions, selection []string) ([]kit.File, error) {
	if len(selection) > 0 && !o.flux {
		return nil, usageError{errors.New("only --flux takes apps: the other files are for all images of the registry")}
	}
	for _, tool := range o.cosignPolicy {
		if tool != kit.Kyverno && tool != kit.PolicyController {
			return nil, usageError{fmt.Errorf("--cosign-policy=%s, expected %s or %s", tool, kit.Kyverno, kit.PolicyController)}
		}
	}
	ws, err := e.registryWorkspace()
	if err != nil {
		return nil, err
	}
	if _, err := ws.registries(o.registry); err != nil {
		return nil, err
	}
	places := kit.Places{Registries: o.registry.to, Copies: ws.copies(o.registry)}
	if len(places.Registries) == 0 {
		places.Registries = ws.settings.Registries()
	}
	// Copies are published to, too, but their signatures name the first registry.
	places.Registries = slices.DeleteFunc(slices.Clone(places.Registries), func(registry string) bool {
		return slices.ContainsFunc(places.Copies, func(c sign.Copy) bool { return sign.SamePrefix(c.In, registry) })
	})
	var files []kit.File
	for _, tool := range []struct {
		asked  bool
		render func() ([]kit.File, error)
	}{
		{o.renovate, func() ([]kit.File, error) { return kit.Renovate(places) }},
		{o.flux, func() ([]kit.File, error) { return e.renderFlux(ctx, places, selection) }},
		{len(o.cosignPolicy) > 0, func() ([]kit.File, error) {
			config, err := ws.signatures(o.registry)
			if err != nil {
				return nil, err
			}
			return kit.CosignPolicy(places, config, o.cosignPolicy...)
		}},
		{o.policy, func() ([]kit.File, error) { return e.renderContainersPolicy(ctx, ws, o, places) }},
	} {
		if !tool.asked {
			continue
		}
		rendered, err := tool.render()
		if err != nil {
			return nil, err
		}
		files = append(files, rendered...)
	}
	return files, nil
}

// signatures is how images are signed. It is an error if they are not.
func (ws *workspace) signatures(o registryOptions) (sign.Config, error) {
	config, err := ws.signConfig(o, false)
	switch {
	case err != nil:
		return sign.Config{}, err
	case config == nil:
		return sign.Config{}, errors.New("there is nothing to verify, because libre.yaml has sign: none: set a key or keyless below sign")
	}
	return *config, nil
}

func (e *env) renderFlux(ctx context.Context, places kit.Places, selection []string) ([]kit.File, error) {
	ws, patterns, err := e.selected(ctx, "render", selection, len(selection) == 0)
	if err != nil {
		return nil, err
	}
	apps, err := e.evaluateApps(ctx, ws, nix.Request{Patterns: patterns})
	if err != nil {
		return nil, err
	}
	images, err := catalog.SelectImages(patterns, apps)
	if err != nil {
		return nil, err
	}
	return kit.Flux(places.Registries[0], apps, images)
}

func (e *env) renderContainersPolicy(ctx context.Context, ws *workspace, o kitOptions, places kit.Places) ([]kit.File, error) {
	config, err := ws.signatures(o.registry)
	if err != nil {
		return nil, err
	}
	var repositories []string
	if len(places.Copies) > 0 {
		ws, err := e.workspace()
		if err != nil {
			return nil, err
		}
		apps, err := e.evaluateApps(ctx, ws, nix.Request{Patterns: catalog.All})
		if err != nil {
			return nil, err
		}
		for app := range valuesInOrder(apps) {
			for _, variant := range app.Variants {
				repositories = append(repositories, app.RecordRef(variant).Repository)
			}
		}
		for _, id := range catalog.IDs(apps) {
			repositories = append(repositories, id.Name())
		}
	}
	return kit.ContainersPolicy(places, repositories, config)
}

// evaluateApps evaluates the metadata of the selected apps. It is an error if one is wrong.
func (e *env) evaluateApps(ctx context.Context, ws *workspace, request nix.Request) (map[string]catalog.App, error) {
	evaluation, err := ws.evaluate(ctx, request)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		return nil, evaluation.Failures[name]
	}
	return evaluation.Apps, nil
}

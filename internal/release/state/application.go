package state

import (
	"context"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
)

// Document returns the application document of a published release. It returns an error if an
// old version of libre made the record without a document.
func (r *Record) Document() (*describe.Application, error) {
	if r.Application == nil {
		return nil, fmt.Errorf("%s was published without an application document: publish its next package version with this libre", r.ref())
	}
	document := *r.Application
	document.Spec.Registry = r.Registry
	document.Spec.Components = maps.Clone(document.Spec.Components)
	for name, component := range r.Components {
		document.AddImage(name, describe.Built{
			Digest: component.Digest, Platforms: component.Systems,
			User: component.User, Volumes: component.Volumes, ExposedPorts: component.ExposedPorts, Health: component.HealthCheck,
		})
	}
	return &document, nil
}

// Documents returns the application documents of the selected apps and variants, as the working
// tree describes them. A pattern for all variants selects the default one. An image has digests
// if the layout has it with the present key. It needs no network, and builds nothing.
func (r *Reader) Documents(ctx context.Context, patterns []catalog.Pattern) ([]*describe.Application, *nix.Evaluation, error) {
	wanted := slices.Clone(patterns)
	for i := range wanted {
		wanted[i].Component = "*"
		if wanted[i].Variant == "*" {
			wanted[i].Variant = "default"
		}
	}
	evaluation, err := r.Catalogue.Evaluate(ctx, nix.Request{Patterns: wanted, AllSystems: true, KeysOnly: true, Described: true})
	if err != nil {
		return nil, nil, err
	}
	local, err := r.Local()
	if err != nil {
		return nil, nil, err
	}
	here, err := machineTargets(evaluation.Images)
	if err != nil {
		return nil, nil, err
	}
	var documents []*describe.Application
	byName := map[string]*describe.Application{}
	for _, target := range release.Targets(evaluation.Images) {
		app := evaluation.Apps[target.ID.App]
		name := app.Name + "/" + target.ID.Variant
		if byName[name] == nil {
			if byName[name], err = describe.New(app, target.ID.Variant); err != nil {
				return nil, nil, err
			}
			documents = append(documents, byName[name])
		}
		for _, target := range []*release.Target{target, here[target.ID]} {
			found, err := local.addBuilt(byName[name], target, evaluation.PkgsErr)
			if err != nil {
				return nil, nil, err
			}
			if found {
				break
			}
		}
	}
	return documents, evaluation, nil
}

// addBuilt adds a component's image to a document if the layout has it with the target's key.
func (l Local) addBuilt(document *describe.Application, target *release.Target, pkgsErr error) (bool, error) {
	if target == nil {
		return false, nil
	}
	plan, entry := l.plan(target, pkgsErr)
	if plan.Action != ToNothing || entry.Digest.Hex == "" {
		return false, nil
	}
	image, err := l.built(target, entry.Descriptor)
	if err == nil {
		document.AddImage(target.ID.Component, image)
	}
	return true, err
}

// machineTargets returns the targets for this machine's system alone, because "libre build"
// builds for it, and "libre push" for all systems.
func machineTargets(specs []*catalog.Spec) (map[catalog.ID]*release.Target, error) {
	system, err := nix.MachineSystem()
	if err != nil {
		return nil, err
	}
	own := slices.DeleteFunc(slices.Clone(specs), func(spec *catalog.Spec) bool { return spec.System != system })
	targets := map[catalog.ID]*release.Target{}
	for _, target := range release.Targets(own) {
		targets[target.ID] = target
	}
	return targets, nil
}

// built returns the description of an image in the layout.
func (l Local) built(target *release.Target, index v1.Descriptor) (describe.Built, error) {
	manifests, err := l.layout.Manifests(index)
	if err != nil {
		return describe.Built{}, err
	}
	image := describe.Built{Digest: index.Digest.String(), Platforms: map[string]string{}}
	for _, manifest := range manifests {
		image.Platforms[manifest.Platform.String()] = manifest.Digest.String()
	}
	if target.Reproducible() || len(manifests) == 0 {
		return image, nil
	}
	config, err := l.layout.Config(manifests[0])
	if err != nil {
		return describe.Built{}, err
	}
	var own RecordComponent
	own.addUpstream(config.Config)
	image.User, image.Volumes, image.ExposedPorts, image.Health = own.User, own.Volumes, own.ExposedPorts, own.HealthCheck
	return image, nil
}

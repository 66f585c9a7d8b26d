package bump

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/nixedit"
)

// lockFile is where a flake's inputs are pinned.
const lockFile = "flake.lock"

// Inputs is what became of the catalogue's flake inputs and base images.
type Inputs struct {
	Changed []Edit            // locked inputs and base digests
	Apps    []*Result         // whose image keys changed, with the package version that they get
	Before  map[string][]byte // files that change, by path in the catalogue
	After   map[string][]byte
}

// UpdateInputs updates the flake inputs with the given names, all without any, and
// without any also the digests of base images, in a copy of the catalogue. It
// raises the package version of exactly those apps whose image keys change by it.
func (b *Bumper) UpdateInputs(ctx context.Context, names []string) (*Inputs, error) {
	everything := nix.Request{Patterns: catalog.All, AllSystems: true, KeysOnly: true}
	b.progress("inputs", "evaluating")
	before, err := b.evaluate(ctx, b.Dir, everything)
	if err != nil {
		return nil, err
	}
	c, err := newCheckout(ctx, b.Dir)
	if err != nil {
		return nil, err
	}
	defer c.remove()
	inputs := &Inputs{}
	if err := b.updateLock(ctx, c, inputs, names); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		if err := b.updateBases(ctx, c, inputs, before.Apps); err != nil {
			return nil, err
		}
	}
	if len(inputs.Changed) == 0 {
		return inputs, nil
	}
	b.progress("inputs", "evaluating again")
	after, err := b.evaluate(ctx, c.copy, everything)
	if err != nil {
		return nil, err
	}
	if err := sameKnowledge(before, after); err != nil {
		return nil, err
	}
	if err := c.raise(inputs, before, after); err != nil {
		return nil, err
	}
	if inputs.After, err = c.changed(); err != nil {
		return nil, err
	}
	inputs.Before = map[string][]byte{}
	for name := range inputs.After {
		inputs.Before[name] = c.original[name]
	}
	return inputs, nil
}

// updateLock has nix update the lock file of the copy.
func (b *Bumper) updateLock(ctx context.Context, c *checkout, inputs *Inputs, names []string) error {
	text, err := c.read(lockFile)
	if err != nil {
		return fmt.Errorf("updating inputs: %w", err)
	}
	was, err := nix.ReadLock(text)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := was[name]; !ok {
			return fmt.Errorf("no flake input %s, there is: %s", name, strings.Join(slices.Sorted(maps.Keys(was)), ", "))
		}
	}
	b.progress("inputs", "asking for newer ones")
	if err := b.Nix.UpdateLock(ctx, c.copy, names); err != nil {
		return err
	}
	if text, err = c.read(lockFile); err != nil {
		return err
	}
	is, err := nix.ReadLock(text)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if was[name] != is[name] {
			inputs.Changed = append(inputs.Changed, Edit{"input " + name, was[name], is[name]})
		}
	}
	return nil
}

// updateBases asks for the digests that the pinned base images have now.
func (b *Bumper) updateBases(ctx context.Context, c *checkout, inputs *Inputs, apps map[string]catalog.App) error {
	asked := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		app := apps[name]
		planned := edits{}
		for _, component := range slices.Sorted(maps.Keys(app.Components)) {
			for _, base := range slices.Sorted(maps.Keys(app.Components[component].Bases)) {
				pin := app.Components[component].Bases[base]
				if !strings.HasPrefix(pin, "sha256:") {
					continue // an image of the catalogue
				}
				if asked[base] == "" {
					b.progress("inputs", "asking for "+base)
					digest, err := b.Upstream.BaseDigest(ctx, base)
					if err != nil {
						return err
					}
					asked[base] = digest
				}
				if asked[base] == pin {
					continue
				}
				value, err := nixedit.Digest(asked[base])
				if err != nil {
					return fmt.Errorf("base %s: %w", base, err)
				}
				attribute := "components." + component + ".bases." + base
				planned[attribute] = value
				inputs.Changed = append(inputs.Changed, Edit{name + ": base " + base, pin, asked[base]})
			}
		}
		changes, err := planned.changes(app)
		if err == nil {
			err = c.edit(changes...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sameKnowledge refuses to compare keys that are not known: which apps change is
// the whole point.
func sameKnowledge(before, after *nix.Evaluation) error {
	for _, evaluation := range []*nix.Evaluation{before, after} {
		if evaluation.PkgsErr != nil {
			return fmt.Errorf("which images change is not known: %w", evaluation.PkgsErr)
		}
		for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
			return fmt.Errorf("which images change is not known: apps/%s: %w", app, evaluation.Failures[app])
		}
	}
	return nil
}

// raise adds one to the package version of each app that has an image with another
// key.
func (c *checkout) raise(inputs *Inputs, before, after *nix.Evaluation) error {
	was, is := keys(before.Images), keys(after.Images)
	for _, name := range slices.Sorted(maps.Keys(after.Apps)) {
		if maps.Equal(was[name], is[name]) {
			continue
		}
		app := after.Apps[name]
		planned, _, err := c.repack(app)
		if err != nil {
			return err
		}
		inputs.Apps = append(inputs.Apps, &Result{
			App: name, From: Version{app.Version, app.PackageVersion}, To: Version{app.Version, app.PackageVersion + 1},
			Edits: []Edit{{"packageVersion", fmt.Sprint(app.PackageVersion), planned["packageVersion"].String()}},
		})
	}
	return nil
}

// keys are the image keys of each app, by image and system.
func keys(specs []*catalog.Spec) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, spec := range specs {
		if spec.Skip != nil {
			continue
		}
		if all[spec.App] == nil {
			all[spec.App] = map[string]string{}
		}
		all[spec.App][spec.ID().String()+" "+spec.System] = spec.Key()
	}
	return all
}

package bump

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
)

// lockFile pins a flake's inputs.
const lockFile = "flake.lock"

// Inputs is the result of updating the catalogue's flake inputs and base images.
type Inputs struct {
	Changed []Edit            // locked inputs and base digests
	Apps    []*Result         // whose image keys changed, with their new package version
	Notes   []string          // what was not updated, and why
	Behind  int               // those of Skipped that are outdated pins and that bump cannot edit
	Before  map[string][]byte // changed files, by path in the catalogue
	After   map[string][]byte

	// Uncommitted is flake.lock if its last update was never committed.
	Uncommitted []string
}

// everything selects all images of a catalogue, on all its systems.
var everything = nix.Request{Patterns: catalog.All, AllSystems: true}

// UpdateInputs updates the named flake inputs in a copy of the catalogue. Without names it
// updates all inputs, and the pins of base images. It increases the package version of
// exactly those apps whose image keys change.
func (b *Bumper) UpdateInputs(ctx context.Context, names []string) (*Inputs, error) {
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
	for _, app := range slices.Sorted(maps.Keys(before.Failures)) {
		inputs.note("apps/%s is skipped, it does not evaluate: %v", app, before.Failures[app])
	}
	if err := b.updateLock(ctx, c, inputs, names); err != nil {
		return nil, err
	}
	planned := map[string]edits{}
	if len(names) == 0 {
		if planned, err = b.updateBases(ctx, c, inputs, before); err != nil {
			return nil, err
		}
	}
	if len(inputs.Changed) == 0 {
		inputs.Uncommitted = findUncommitted(ctx, b.Dir).lock()
		return inputs, nil
	}
	if err := b.raiseChanged(ctx, c, inputs, before, planned); err != nil {
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

func (i *Inputs) note(format string, args ...any) {
	i.Notes = append(i.Notes, fmt.Sprintf(format, args...))
}

// updateLock updates the lock file of the copy with nix. With all inputs, it skips those
// that the evaluation replaces: an update would have no effect, and may need a network.
func (b *Bumper) updateLock(ctx context.Context, c *checkout, inputs *Inputs, names []string) error {
	text, err := c.read(lockFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("the catalogue has no flake.lock: run nix flake lock && git add flake.lock")
	}
	if err != nil {
		return err
	}
	was, err := nix.ReadLock(text)
	if err != nil {
		return err
	}
	catalogue, err := b.Nix.OpenCatalogue(ctx, c.copy, b.PackageSet)
	if err != nil {
		return err
	}
	var own []string // of the flake itself
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if !strings.Contains(name, "/") {
			own = append(own, name)
		}
	}
	for _, name := range names {
		if !slices.Contains(own, name) {
			return fmt.Errorf("flake.lock has no input %s, it has: %s", name, strings.Join(own, ", "))
		}
	}
	if len(names) == 0 {
		for _, name := range own {
			if slices.Contains(catalogue.Replaced(), name) {
				inputs.note("input %s is skipped, libre uses its own instead: libre bump --input %[1]s updates it", name)
			} else {
				names = append(names, name)
			}
		}
	}
	b.progress("inputs", "asking for newer ones")
	if err := catalogue.UpdateLock(ctx, names); err != nil {
		return err
	}
	if text, err = c.read(lockFile); err != nil {
		return err
	}
	is, err := nix.ReadLock(text)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(merged(was, is))) {
		if was[name] != is[name] {
			inputs.Changed = append(inputs.Changed, Edit{"input " + name, orNone(was[name]), orNone(is[name])})
		}
	}
	return nil
}

func orNone(revision string) string {
	if revision == "" {
		return "none"
	}
	return revision
}

// raiseChanged adds one to the package version of each app with a changed image key, also
// if the key changed only because a base did: a package version is part of a key. Nothing
// may change beyond that plan.
func (b *Bumper) raiseChanged(ctx context.Context, c *checkout, inputs *Inputs, before *nix.Evaluation, planned map[string]edits) error {
	was := keys(before.Images)
	raised := map[string]bool{}
	for {
		b.progress("inputs", "evaluating again")
		after, err := b.evaluate(ctx, c.copy, everything)
		if err != nil {
			return err
		}
		for _, app := range slices.Sorted(maps.Keys(after.Failures)) {
			if before.Failures[app] == nil {
				return fmt.Errorf("apps/%s does not evaluate with the updates: %w", app, after.Failures[app])
			}
		}
		is := keys(after.Images)
		settled := true
		for _, name := range slices.Sorted(maps.Keys(before.Apps)) {
			if raised[name] || maps.Equal(was[name], is[name]) {
				continue
			}
			app := after.Apps[name]
			edit, to, err := c.repack(app)
			if err != nil {
				return err
			}
			planned[name] = withEdits(planned[name], edit)
			raised[name], settled = true, false
			inputs.Apps = append(inputs.Apps, &Result{
				App: name, From: Version{app.Version, app.PackageVersion}, To: Version{to.version, to.packageVersion},
				Edits: []Edit{{"packageVersion", fmt.Sprint(app.PackageVersion), fmt.Sprint(to.packageVersion)}},
			})
		}
		if settled {
			slices.SortFunc(inputs.Apps, func(x, y *Result) int { return strings.Compare(x.App, y.App) })
			return checkRaised(before.Apps, after.Apps, planned, raised)
		}
	}
}

// checkRaised compares all apps before and after with the plan.
func checkRaised(before, after map[string]catalog.App, planned map[string]edits, raised map[string]bool) error {
	for _, name := range slices.Sorted(maps.Keys(before)) {
		app := before[name]
		to := step{version: app.Version, packageVersion: app.PackageVersion}
		if raised[name] {
			to.packageVersion++
		}
		one := map[string]catalog.App{name: app}
		if err := checkChanged(one, map[string]catalog.App{name: after[name]}, name, planned[name], to); err != nil {
			return err
		}
	}
	return nil
}

// withEdits joins all edits.
func withEdits(some, more edits) edits {
	all := edits{}
	maps.Copy(all, some)
	maps.Copy(all, more)
	return all
}

// keys returns the image keys of each app, by image and system.
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

package bump

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/nixedit"
)

// pin is a base image of a component, and the digest that it is pinned to, "" for
// a missing pin.
type pin struct{ app, component, base, digest string }

func (p pin) attribute() string { return "components." + p.component + ".bases." + p.base }

// updateBases brings the pins of base images to the digests that registries have
// now, and writes those that Containerfiles lack, in the copy. It gives the edits by
// app. What cannot be edited, or not be known without a source that is not to be
// had, is noted and left as it is.
func (b *Bumper) updateBases(ctx context.Context, c *checkout, inputs *Inputs, before *nix.Evaluation) (map[string]edits, error) {
	pins := existingPins(before.Apps)
	missing, err := b.missingPins(ctx, inputs, before.Images)
	if err != nil {
		return nil, err
	}
	pins = append(pins, missing...)
	digests, err := b.baseDigests(ctx, pins)
	if err != nil {
		return nil, err
	}
	planned := map[string]edits{}
	var changes []nixedit.Change
	add := map[string]*nixedit.AddPins{} // by place: a component's pins are added together
	for _, p := range pins {
		digest := digests[p.base]
		if digest.String() == p.digest {
			continue
		}
		app := before.Apps[p.app]
		change, err := p.change(app, digest)
		if err == nil {
			err = c.refusal(change)
		}
		var refused *nixedit.Refusal
		switch {
		case errors.As(err, &refused) || errors.Is(err, errNoPlace):
			inputs.note("%s/%s: base %s is %s today: %v", p.app, p.component, p.base, digest, err)
			inputs.Behind++
			continue
		case err != nil:
			return nil, err
		}
		if adding, ok := change.(nixedit.AddPins); ok {
			if same := add[p.app+"/"+p.component]; same != nil {
				maps.Copy(same.Digests, adding.Digests)
			} else {
				add[p.app+"/"+p.component] = &adding
			}
		} else {
			changes = append(changes, change)
		}
		planned[p.app] = withEdits(planned[p.app], edits{p.attribute(): digest})
		inputs.Changed = append(inputs.Changed, Edit{p.app + "/" + p.component + ": base " + p.base, orNone(p.digest), digest.String()})
	}
	for _, component := range slices.Sorted(maps.Keys(add)) {
		changes = append(changes, *add[component])
	}
	return planned, c.edit(changes...)
}

// existingPins are those that definitions have. A base that is an image of the
// catalogue is none.
func existingPins(apps map[string]catalog.App) []pin {
	var pins []pin
	for _, app := range slices.Sorted(maps.Keys(apps)) {
		for _, component := range slices.Sorted(maps.Keys(apps[app].Components)) {
			bases := apps[app].Components[component].Bases
			for _, base := range slices.Sorted(maps.Keys(bases)) {
				if strings.HasPrefix(bases[base], "sha256:") {
					pins = append(pins, pin{app, component, base, bases[base]})
				}
			}
		}
	}
	return pins
}

// missingPins are those that the Containerfiles of all variants need and no
// definition has.
func (b *Bumper) missingPins(ctx context.Context, inputs *Inputs, images []*catalog.Spec) ([]pin, error) {
	var specs []*catalog.Spec
	for _, spec := range images {
		// A debug image is made of the one without tools.
		if spec.Kind == "containerfile" && spec.Skip == nil && spec.Variant != "debug" {
			specs = append(specs, spec)
		}
	}
	if len(specs) == 0 {
		return nil, nil
	}
	b.progress("inputs", "fetching sources")
	var pins []pin
	err := b.Nix.FetchSources(ctx, specs, func(spec *catalog.Spec, source string, err error) error {
		var found containerfile.Pins
		if err == nil {
			found, err = containerfile.ReadPins(spec, source)
		}
		if err != nil {
			inputs.note("%s: whether its bases are pinned is not known: %v", spec.ID(), err)
		}
		for _, base := range found.Unpinned {
			if p := (pin{app: spec.App, component: spec.Component, base: base.Name}); !slices.Contains(pins, p) {
				pins = append(pins, p)
			}
		}
		return nil
	})
	inputs.Notes = slices.Compact(inputs.Notes) // a component is the same on all systems
	return pins, err
}

// askers is how many registries are asked at a time.
const askers = 8

// baseDigests asks for the digests that bases have now.
func (b *Bumper) baseDigests(ctx context.Context, pins []pin) (map[string]nixedit.Value, error) {
	asked := map[string]bool{}
	digests := map[string]nixedit.Value{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(askers)
	for _, p := range pins {
		if asked[p.base] {
			continue
		}
		asked[p.base] = true
		b.progress("inputs", "asking for "+p.base)
		group.Go(func() error {
			digest, err := b.BaseDigest(ctx, p.base)
			if err != nil {
				return err
			}
			value, err := nixedit.Digest(digest)
			if err != nil {
				return fmt.Errorf("base %s: %w", p.base, err)
			}
			mu.Lock()
			defer mu.Unlock()
			digests[p.base] = value
			return nil
		})
	}
	return digests, group.Wait()
}

// errNoPlace says that an attribute is not written in a file.
var errNoPlace = errors.New("the definition has no place for it: write it as a plain attribute of mkApp's argument")

// change is the edit that writes a pin.
func (p pin) change(app catalog.App, digest nixedit.Value) (nixedit.Change, error) {
	attribute := p.attribute()
	if p.digest == "" {
		attribute = "components." + p.component
	}
	at := app.Positions[attribute]
	if at == nil || !filepath.IsLocal(at.File) {
		return nil, errNoPlace
	}
	place := nixedit.Attribute{Path: attribute, At: *at}
	if p.digest == "" {
		return nixedit.AddPins{Attribute: place, Digests: map[string]nixedit.Value{p.base: digest}}, nil
	}
	return nixedit.Set{Attribute: place, Value: digest}, nil
}

// refusal is why a change cannot be made.
func (c *checkout) refusal(change nixedit.Change) error {
	name := nixedit.File(change)
	content, err := c.read(name)
	if err == nil {
		_, err = nixedit.Apply(map[string][]byte{name: content}, change)
	}
	return err
}

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

// pin is a base of a component, and its source.
type pin struct {
	app, component string
	base           string // the key in `bases`, which stands for an image's name
	is             string // its value: a digest, or an image of the catalogue; "" for a missing pin
	image          string // the image to resolve; "" for none
	to             string // the new key if the file has another tag now; else ""
}

func (p pin) attribute() string { return "components." + p.component + ".bases." + p.base }

// component names the component and the base, in messages.
func (p pin) String() string { return p.app + "/" + p.component + ": base " + p.base }

// moved is the pin under its new key.
func (p pin) moved() pin { p.base = p.to; return p }

// isDigest reports whether a value is a digest, not an image of the catalogue.
func isDigest(value string) bool { return strings.HasPrefix(value, "sha256:") }

// updateBases updates the pins of base images in the copy: to the digests that registries
// have now, and to the tags in Containerfiles. It adds missing pins. It returns the edits
// by app. It notes and skips pins that it cannot edit, or cannot know without a source that
// is unavailable.
func (b *Bumper) updateBases(ctx context.Context, c *checkout, inputs *Inputs, before *nix.Evaluation) (map[string]edits, error) {
	used, err := b.readPins(ctx, InputsName, before.Images, inputs.note)
	if err != nil {
		return nil, err
	}
	pins := existingPins(before.Apps, used, func(pin) bool { return true }, inputs.note)
	pins = append(pins, used.missing...)
	digests, err := b.baseDigests(ctx, InputsName, pins)
	if err != nil {
		return nil, err
	}
	written, err := c.writePins(before.Apps, pins, digests)
	if err != nil {
		return nil, err
	}
	for _, refused := range written.refused {
		inputs.note("%s", refused)
		inputs.Behind++
	}
	inputs.Changed = append(inputs.Changed, written.changed...)
	return written.planned, nil
}

// existingPins are the pins in definitions that move, or follow what their image is now. A
// pin to an image of the catalogue counts only if its key moves.
func existingPins(apps map[string]catalog.App, used *usedPins, follows func(pin) bool, note func(string, ...any)) []pin {
	var pins []pin
	for _, app := range slices.Sorted(maps.Keys(apps)) {
		for _, p := range pinsOf(apps[app]) {
			names, moved := used.names(p), used.movedTo(p)
			switch {
			case len(moved) > 0:
				p.to = containerfile.MovedKey(p.base, moved[0])
				if len(moved) > 1 || p.to == "" || isDigest(p.is) && containerfile.HasDigest(moved[0]) {
					note("%s is %s in the Containerfile: edit its key by hand", p, strings.Join(moved, " and "))
					continue
				}
				if isDigest(p.is) {
					p.image = moved[0]
				}
			case !isDigest(p.is) || containerfile.HasDigest(p.base) || !follows(p):
				continue
			case containerfile.HasTag(p.base):
				p.image = p.base
			case len(names) == 0:
				note("%s has no tag, and the Containerfile's is unknown", p)
				continue
			case len(names) > 1:
				note("%s is for %s: write a key for each", p, strings.Join(names, " and "))
				continue
			case containerfile.HasDigest(names[0]):
				continue // the file has the name
			default:
				p.image = names[0]
			}
			pins = append(pins, p)
		}
	}
	return pins
}

// pinsOf returns all pins in an app's definition.
func pinsOf(app catalog.App) []pin {
	var pins []pin
	for _, component := range slices.Sorted(maps.Keys(app.Components)) {
		bases := app.Components[component].Bases
		for _, base := range slices.Sorted(maps.Keys(bases)) {
			pins = append(pins, pin{app: app.Name, component: component, base: base, is: bases[base]})
		}
	}
	return pins
}

// usedPins is how Containerfiles use their definitions' pins.
type usedPins struct {
	of      map[pin][]string // by app, component and base: the image names that a key applies to
	moved   map[pin][]string // … and the names that replaced those
	missing []pin
}

func (u *usedPins) names(p pin) []string {
	return u.of[pin{app: p.app, component: p.component, base: p.base}]
}

// movedTo returns the image that replaced a pin's image, unless a variant still has that.
func (u *usedPins) movedTo(p pin) []string {
	if len(u.names(p)) > 0 {
		return nil
	}
	return u.moved[pin{app: p.app, component: p.component, base: p.base}]
}

// readPins reads the bases of all variants' Containerfiles.
func (b *Bumper) readPins(ctx context.Context, who string, images []*catalog.Spec, note func(string, ...any)) (*usedPins, error) {
	used := &usedPins{of: map[pin][]string{}, moved: map[pin][]string{}}
	var specs []*catalog.Spec
	for _, spec := range images {
		// A debug image builds on the one without tools.
		if spec.Kind() == catalog.KindContainerfile && spec.Skip == nil && spec.Variant != "debug" {
			specs = append(specs, spec)
		}
	}
	if len(specs) == 0 {
		return used, nil
	}
	b.progress(who, "fetching sources")
	noted := map[string]bool{} // a component is the same for all systems
	err := b.Nix.FetchSources(ctx, specs, func(spec *catalog.Spec, source string, err error) error {
		var found containerfile.Pins
		if err == nil {
			found, err = containerfile.ReadPins(spec, source)
		}
		if text := fmt.Sprintf("%s: cannot check whether its bases are pinned: %v", spec.ID(), err); err != nil && !noted[text] {
			noted[text] = true
			note("%s", text)
		}
		of := func(base string) pin { return pin{app: spec.App, component: spec.Component, base: base} }
		for _, base := range found.Unpinned {
			p := of(base.Name)
			if p.image = base.Name; !slices.Contains(used.missing, p) {
				used.missing = append(used.missing, p)
			}
		}
		for key, names := range found.Used {
			for _, name := range names {
				add(used.of, of(key), name)
			}
		}
		for key, bases := range found.Moved {
			for _, base := range bases {
				add(used.moved, of(key), base.Name)
			}
		}
		return nil
	})
	return used, err
}

func add(to map[pin][]string, p pin, name string) {
	if !slices.Contains(to[p], name) {
		to[p] = append(to[p], name)
	}
}

// askers is how many registries are asked at the same time.
const askers = 8

// baseDigests asks for the current digests of bases, by name.
func (b *Bumper) baseDigests(ctx context.Context, who string, pins []pin) (map[string]nixedit.Value, error) {
	asked := map[string]bool{"": true}
	digests := map[string]nixedit.Value{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(askers)
	for _, p := range pins {
		if asked[p.image] {
			continue
		}
		asked[p.image] = true
		b.progress(who, "asking for "+p.image)
		group.Go(func() error {
			digest, err := b.BaseDigest(ctx, p.image)
			if err != nil {
				return err
			}
			value, err := nixedit.Digest(digest)
			if err != nil {
				return fmt.Errorf("base %s: %w", p.image, err)
			}
			mu.Lock()
			defer mu.Unlock()
			digests[p.image] = value
			return nil
		})
	}
	return digests, group.Wait()
}

// errNoPlace means that an attribute is not written in a file.
var errNoPlace = errors.New("the definition has no place for it: write it as a plain attribute of mkApp's argument")

// writtenPins is the result of editing pins.
type writtenPins struct {
	planned map[string]edits // by app
	changed []Edit
	refused []string // those that cannot be edited, with the right digest
}

// writePins edits pins in the copy.
func (c *checkout) writePins(apps map[string]catalog.App, pins []pin, digests map[string]nixedit.Value) (writtenPins, error) {
	written := writtenPins{planned: map[string]edits{}}
	var changes []nixedit.Change
	adding := map[string]*nixedit.AddPins{} // by place: a component's pins are added together
	for _, p := range pins {
		value := digests[p.image]
		if p.image == "" {
			var err error
			if value, err = nixedit.Image(p.is); err != nil {
				return written, err
			}
		}
		if p.to == "" && value.String() == p.is {
			continue
		}
		edit, err := p.changes(apps[p.app], pins, value)
		if err == nil {
			err = c.refusal(edit)
		}
		var refused *nixedit.Refusal
		switch {
		case errors.As(err, &refused) || errors.Is(err, errNoPlace):
			written.refused = append(written.refused, fmt.Sprintf("%s: %v", p.state(value), err))
			continue
		case err != nil:
			return written, err
		}
		if add, ok := edit[0].(nixedit.AddPins); ok {
			if same := adding[p.app+"/"+p.component]; same != nil {
				maps.Copy(same.Digests, add.Digests)
			} else {
				adding[p.app+"/"+p.component] = &add
			}
		} else {
			changes = append(changes, edit...)
		}
		attribute, what := p.attribute(), p.String()
		if p.to != "" {
			written.planned[p.app] = withEdits(written.planned[p.app], edits{attribute: nixedit.Value{}})
			attribute, what = p.moved().attribute(), what+" -> "+p.to
		}
		written.planned[p.app] = withEdits(written.planned[p.app], edits{attribute: value})
		written.changed = append(written.changed, Edit{what, orNone(p.is), value.String()})
	}
	for _, component := range slices.Sorted(maps.Keys(adding)) {
		changes = append(changes, *adding[component])
	}
	return written, c.edit(changes...)
}

// state says what a pin should be.
func (p pin) state(value nixedit.Value) string {
	if p.to != "" {
		return fmt.Sprintf("%s is %s in the Containerfile now, %s", p, p.to, value)
	}
	return fmt.Sprintf("%s is %s today", p, value)
}

// changes returns the edits that write a pin. It edits a key that is written once for
// several pins only if all of them move.
func (p pin) changes(app catalog.App, pins []pin, value nixedit.Value) ([]nixedit.Change, error) {
	attribute := p.attribute()
	if p.is == "" {
		attribute = "components." + p.component
	}
	at := app.Positions[attribute]
	if at == nil || !filepath.IsLocal(at.File) {
		return nil, errNoPlace
	}
	place := nixedit.Attribute{Path: attribute, At: *at}
	if p.is == "" {
		return []nixedit.Change{nixedit.AddPins{Attribute: place, Digests: map[string]nixedit.Value{p.base: value}}}, nil
	}
	var changes []nixedit.Change
	if p.image != "" {
		changes = append(changes, nixedit.Set{Attribute: place, Value: value})
	}
	if p.to == "" {
		return changes, nil
	}
	for other, position := range app.Positions {
		same := position != nil && *position == *at && strings.HasSuffix(other, ".bases."+p.base)
		if same && !slices.ContainsFunc(pins, func(o pin) bool { return o.app == p.app && o.attribute() == other && o.to == p.to }) {
			return nil, &nixedit.Refusal{At: *at, Why: attribute + " is written in one place with " + other + ", which keeps its tag: write them separately"}
		}
	}
	return append(changes, nixedit.RenamePin{Attribute: place, Name: p.to}), nil
}

// refusal returns why changes cannot be made.
func (c *checkout) refusal(changes []nixedit.Change) error {
	name := nixedit.File(changes[0])
	content, err := c.read(name)
	if err == nil {
		_, err = nixedit.Apply(map[string][]byte{name: content}, changes...)
	}
	return err
}

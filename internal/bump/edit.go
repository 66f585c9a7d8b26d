package bump

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nixedit"
)

// Edit is one attribute of an app's definition with a new value.
type Edit struct {
	Attribute string `json:"attribute"` // such as source.hash
	Old       string `json:"old"`       // the value before
	New       string `json:"new"`       // the value after
}

// edits are the changed attributes of one app, by attribute.
type edits map[string]nixedit.Value

// changes are the edits as nixedit makes them.
func (e edits) changes(app catalog.App) ([]nixedit.Change, error) {
	var changes []nixedit.Change
	for _, attribute := range slices.Sorted(maps.Keys(e)) {
		at := app.Positions[attribute]
		if at == nil {
			return nil, fmt.Errorf("apps/%s: %s has no place in a file: write it as a plain attribute of mkApp's argument", app.Name, attribute)
		}
		changes = append(changes, nixedit.Set{Attribute: nixedit.Attribute{Path: attribute, At: *at}, Value: e[attribute]})
	}
	return changes, nil
}

// step is an app's new version, and its source.
type step struct {
	version        string
	packageVersion int
	tag            string
	commit         string // "" if unknown
	date           string // YYYY-MM-DD, "" if unknown
	hash           string // of the source; "" if a build has to find it
	archive        string // the URL that the hash is for, if the definition names one
	patch          *AddedPatch
}

// edits are the attributes to change for a step to another version, or to other content of
// the same version. A tag derived from the version stays.
func (c *checkout) edits(app catalog.App, to step) (edits, error) {
	e := edits{}
	set := func(attribute string, value nixedit.Value, err error) error {
		if err == nil {
			e[attribute] = value
		}
		return err
	}
	number, err := nixedit.Integer(to.packageVersion)
	if err := set("packageVersion", number, err); err != nil {
		return nil, err
	}
	if to.version != app.Version {
		value, err := nixedit.Version(to.version)
		if err := set("version", value, err); err != nil {
			return nil, err
		}
	}
	for _, attribute := range []string{"source.tag", "source.version"} {
		if app.Positions[attribute] == nil || to.tag == app.Source.Revision {
			continue
		}
		literal, err := c.isLiteral(app, attribute)
		if err != nil {
			return nil, err
		}
		if literal {
			value, err := nixedit.Tag(to.tag)
			if err := set(attribute, value, err); err != nil {
				return nil, err
			}
		}
	}
	for attribute, text := range to.optional(app) {
		value, err := nixedit.Version(text)
		if attribute == "source.date" {
			value, err = nixedit.Date(text)
		}
		if err := set(attribute, value, err); err != nil {
			return nil, err
		}
	}
	if app.Positions["source.hash"] != nil {
		hash, err := nixedit.Hash(orUnknown(to.hash, app.Name, "source.hash"))
		if err := set("source.hash", hash, err); err != nil {
			return nil, err
		}
	}
	for _, attribute := range hashAttributes(app) {
		value, err := nixedit.Hash(unknownHash(app.Name, attribute))
		if err := set(attribute, value, err); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// optional are the optional attributes that the definition has and whose value is known.
func (to step) optional(app catalog.App) map[string]string {
	all := map[string]string{"source.commit": to.commit, "source.date": to.date}
	if app.Source.Kind == "git" {
		all["source.rev"] = to.commit
	}
	maps.DeleteFunc(all, func(attribute, text string) bool { return app.Positions[attribute] == nil || text == "" })
	return all
}

// isLiteral reports whether an attribute is written out. One that follows from another,
// such as tag = "v${version}", changes with it in the evaluation.
func (c *checkout) isLiteral(app catalog.App, attribute string) (bool, error) {
	at := app.Positions[attribute]
	content, err := c.read(at.File)
	if err != nil {
		return false, err
	}
	found, err := nixedit.Find(content, nixedit.Attribute{Path: attribute, At: *at})
	return err == nil && found.Kind == nixedit.Literal, err
}

// dependentHashes are the hashes of an app that depend on its source, by attribute.
func dependentHashes(app catalog.App) map[string]string {
	all := map[string]string{}
	for name, raw := range app.Hashes {
		var hash string
		var bySystem map[string]string
		if json.Unmarshal(raw, &bySystem) != nil && json.Unmarshal(raw, &hash) == nil {
			all["hashes."+name] = hash
		}
		for system, hash := range bySystem {
			all["hashes."+name+"."+system] = hash
		}
	}
	return all
}

// hashAttributes are the attributes of dependent hashes that are written out.
func hashAttributes(app catalog.App) []string {
	return slices.Sorted(maps.Keys(dependentHashes(app)))
}

// unknownHash is a placeholder for a hash until a build finds it. Each is different, so
// that the build's message identifies the attribute. No content has it, so that no earlier
// build is reused for it.
func unknownHash(app, attribute string) string {
	sum := sha256.Sum256([]byte("libre: to be found: " + app + " " + attribute))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func orUnknown(hash, app, attribute string) string {
	if hash == "" {
		return unknownHash(app, attribute)
	}
	return hash
}

// checkChanged compares the apps before and after: the edited app differs only as planned,
// and has the chosen tag; no other app differs.
func checkChanged(before, after map[string]catalog.App, name string, planned edits, to step) error {
	for _, other := range slices.Sorted(maps.Keys(before)) {
		was, err := flat(before[other])
		if err != nil {
			return err
		}
		is, err := flat(after[other])
		if err != nil {
			return err
		}
		for _, attribute := range slices.Sorted(maps.Keys(merged(was, is))) {
			if was[attribute] == is[attribute] || derived(attribute) {
				continue
			}
			if other == name && !strings.HasPrefix(attribute, "source.") && strings.ReplaceAll(was[attribute], before[name].Version, to.version) == is[attribute] {
				continue // it contains ${version}
			}
			value, known := planned[attribute]
			if other == name && !known && (attribute == "source.tag" || attribute == "source.version" || attribute == "source.rev") {
				continue // whether it follows is checked below
			}
			if other == name && (strings.HasPrefix(attribute, "changes.") || strings.HasPrefix(attribute, "variantChanges.")) {
				continue // a dropped or an added patch, which is checked below
			}
			if other != name || !known {
				return fmt.Errorf("apps/%s: the edit also changes %s of %s from %s to %s: edit it by hand",
					name, attribute, other, was[attribute], is[attribute])
			}
			if known && is[attribute] != value.String() {
				return fmt.Errorf("apps/%s: %s became %s, expected %s: edit it by hand", name, attribute, is[attribute], value)
			}
		}
	}
	is := after[name]
	if is.Version != to.version || is.PackageVersion != to.packageVersion {
		return fmt.Errorf("apps/%s: the edit gives version %s, expected %s: edit it by hand", name,
			catalog.Tag(is.Version, is.PackageVersion), catalog.Tag(to.version, to.packageVersion))
	}
	if to.patch != nil {
		return checkAdded(before[name], is, to.patch)
	}
	return checkFollowed(before[name], is, to)
}

// derived reports whether an attribute follows from others.
func derived(attribute string) bool {
	return attribute == "source.revision" || attribute == "source.page" || attribute == "source.archive" || strings.HasPrefix(attribute, "positions.")
}

// flat is an app's metadata by attribute, such as source.hash.
func flat(app catalog.App) (map[string]string, error) {
	text, err := json.Marshal(app)
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	attributes := map[string]string{}
	flatten(attributes, "", value)
	return attributes, nil
}

func flatten(into map[string]string, name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, element := range v {
			flatten(into, strings.TrimPrefix(name+"."+key, "."), element)
		}
	case []any:
		for i, element := range v {
			flatten(into, fmt.Sprintf("%s.%d", name, i), element)
		}
	case nil:
	default:
		into[name] = fmt.Sprint(v)
	}
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

package catalog

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Pattern selects images: a glob (* and ?) for each of app, component and variant.
// ParseSelection makes patterns.
type Pattern struct{ App, Component, Variant string }

func (p Pattern) String() string {
	return strings.TrimSuffix(strings.TrimSuffix(p.App+"/"+p.Component+"/"+p.Variant, "/*"), "/*")
}

// ErrNothingSelected means that a command needs a selection and got none.
var ErrNothingSelected = errors.New("nothing selected")

// All selects every image.
var All = []Pattern{{"*", "*", "*"}}

var patternPart = lazyregexp.New(`^[0-9A-Za-z._*?-]+$`)

// ParseSelection parses selections as a user types them: docs, docs/backend,
// docs/backend/lyon, globs in each part, and @group. groups lists the members of each
// group.
func ParseSelection(words []string, groups map[string][]string) ([]Pattern, error) {
	if len(words) == 0 {
		return nil, ErrNothingSelected
	}
	var patterns []Pattern
	for _, word := range words {
		if group, isGroup := strings.CutPrefix(word, "@"); isGroup {
			members, known := groups[group]
			if !known {
				return nil, unknown("group", word, slices.Sorted(maps.Keys(groups)), "name groups in libre.yaml")
			}
			for _, member := range members {
				pattern, err := parsePattern(member)
				if err != nil {
					return nil, fmt.Errorf("group @%s: %w", group, err)
				}
				patterns = append(patterns, pattern)
			}
			continue
		}
		pattern, err := parsePattern(word)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

func parsePattern(word string) (Pattern, error) {
	parts := strings.Split(strings.TrimSuffix(word, "/"), "/")
	if len(parts) > 3 {
		return Pattern{}, fmt.Errorf("selection %q has %d parts, expected app, app/component or app/component/variant", word, len(parts))
	}
	for _, part := range parts {
		if !patternPart().MatchString(part) {
			return Pattern{}, fmt.Errorf("selection %q, expected app, app/component or app/component/variant", word)
		}
	}
	for len(parts) < 3 {
		parts = append(parts, "*")
	}
	return Pattern{parts[0], parts[1], parts[2]}, nil
}

// Regexp returns the POSIX extended regular expression that matches the same names as a
// glob. It matches the whole name, as Nix's builtins.match does. Names may contain any
// character, because not every folder is an app.
func Regexp(glob string) string { return globRegexp.Replace(glob) }

var globRegexp = strings.NewReplacer(".", "[.]", "*", ".*", "?", ".", "+", "[+]", "|", "[|]", "(", "[(]", ")", "[)]", "{", "[{]", "}", "[}]",
	"[", "[[]", "]", "[]]", "$", "[$]", `\`, `\\`, "^", `\^`)

func matches(glob, name string) bool {
	matched, _ := path.Match(glob, name) // globs do not contain other special characters of path.Match
	return matched
}

// Match reports whether the pattern selects an image.
func (p Pattern) Match(id ID) bool {
	return p.MatchApp(id.App) && matches(p.Component, id.Component) && matches(p.Variant, id.Variant)
}

// MatchApp reports whether the pattern selects any image of an app.
func (p Pattern) MatchApp(name string) bool { return matches(p.App, name) }

// Select returns the apps that any of the patterns selects. It returns an error if a
// pattern selects no app, so that a typing mistake does not go unnoticed.
func Select(patterns []Pattern, names []string) ([]string, error) {
	selected := map[string]bool{}
	for _, pattern := range patterns {
		found := false
		for _, name := range names {
			if pattern.MatchApp(name) {
				selected[name], found = true, true
			}
		}
		if !found {
			return nil, unknown("app", pattern.App, names, "the catalogue has no apps yet; libre new NAME --from URL writes one, and git add lets nix see it")
		}
	}
	return slices.Sorted(maps.Keys(selected)), nil
}

// SelectImages returns the images of apps that any of the patterns selects, in order. If a
// pattern selects none, the error lists the images that exist.
func SelectImages(patterns []Pattern, apps map[string]App) ([]ID, error) {
	ids := IDs(apps)
	var selected []ID
	for _, pattern := range patterns {
		matched := slices.DeleteFunc(slices.Clone(ids), func(id ID) bool { return !pattern.Match(id) })
		if len(matched) == 0 {
			if err := explainNoMatch(pattern, apps); err != nil {
				return nil, err
			}
		}
		selected = append(selected, matched...)
	}
	slices.SortFunc(selected, ID.Compare)
	return slices.Compact(selected), nil
}

// explainNoMatch returns an error that names the part of a pattern that matches nothing. It
// returns nil if none of the pattern's apps is in apps, because their evaluation failed.
func explainNoMatch(pattern Pattern, apps map[string]App) error {
	components, variants := map[string]bool{}, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		if !pattern.MatchApp(name) {
			continue
		}
		for component := range apps[name].Components {
			components[component] = true
		}
		for _, variant := range apps[name].Variants {
			variants[variant] = true
		}
	}
	if len(components) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(components))
	if !slices.ContainsFunc(names, func(name string) bool { return matches(pattern.Component, name) }) {
		return unknown("component", pattern.App+"/"+pattern.Component, names, "")
	}
	return unknown("variant", pattern.String(), slices.Sorted(maps.Keys(variants)), "")
}

// UnknownError is the error for a selection that is not in the catalogue.
type UnknownError struct {
	What string   // app, component, variant or group
	Name string   // as the user typed it
	Have []string // names that exist
	Hint string   // what to do if no names exist
}

func (e *UnknownError) Error() string {
	if len(e.Have) == 0 && e.Name == "*" {
		return e.Hint // the selection was empty
	}
	if len(e.Have) == 0 {
		return strings.TrimSuffix(fmt.Sprintf("no %s %s: %s", e.What, e.Name, e.Hint), ": ")
	}
	return fmt.Sprintf("no %s %s, expected one of: %s", e.What, e.Name, strings.Join(e.Have, ", "))
}

func unknown(what, name string, have []string, hint string) error {
	return &UnknownError{what, name, have, hint}
}

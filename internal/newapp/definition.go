package newapp

import (
	"slices"
	"strings"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/text"
)

// Source is the source of a definition.
type Source struct {
	Kind     string // github, git, goModule or path
	Location string // by kind: OWNER/REPO, a URL, a module's path, a path from the definition
	Forge    string // for git: forgejo, or ""
	Tag      string // "" for a commit without one
	Version  string // that is in the tag
	Commit   string // "" unknown
	Date     string // YYYY-MM-DD, "" unknown
	Hash     string // SRI, "" unknown
	From     string // where it was found, to show
}

// Definition is the text of apps/NAME/default.nix.
func (f *Findings) Definition(source Source) []byte {
	var app set
	app.add(f.name, "name")
	app.add(source.Version, "version")
	app.add(1, "packageVersion")
	fetched := set{{path: []string{"source"}, value: source.set()}}
	if source.Kind == "path" {
		fetched = set{{path: []string{"source", "path"}, value: code(source.Location)}}
	}
	slices.Sort(f.hashes)
	for _, name := range slices.Compact(f.hashes) {
		fetched.add("", "hashes", name)
	}
	var b strings.Builder
	b.WriteString("# " + text.Name(f.name) + ": a first definition by libre new. Look at what is a guess.\n")
	b.WriteString("{ mkApp, ... }:\nmkApp rec {\n")
	app.write(&b, "  ")
	b.WriteString("\n")
	fetched.write(&b, "  ")
	for _, component := range f.components {
		b.WriteString("\n")
		set{{path: []string{"components", component.name}, value: component.attributes}}.write(&b, "  ")
	}
	if needs := f.needsSet(); len(needs) > 0 {
		b.WriteString("\n")
		set{{[]string{"needs"}, needs, "what the source's Compose file, charts and variables show"}}.write(&b, "  ")
	}
	if len(f.routes) > 0 {
		b.WriteString("\n")
		f.routes.write(&b, "  ")
	}
	if settings := f.settingsSet(); len(settings) > 0 {
		b.WriteString("\n")
		set{{[]string{"config"}, settings, "each variable that the source gives an example of"}}.write(&b, "  ")
	}
	if meta := f.meta(); len(meta) > 0 {
		b.WriteString("\n")
		set{{path: []string{"meta"}, value: meta}}.write(&b, "  ")
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

func (f *Findings) meta() set {
	var meta set
	meta.addText(text.Short(f.description, 200), "description")
	meta.addText(f.homepage, "homepage")
	meta.addText(f.licence, "license")
	return meta
}

// set is the attribute source.
func (s Source) set() set {
	var all set
	all.add(s.Location, s.Kind)
	switch s.Kind {
	case "github":
		if s.Tag == "" {
			all.add(s.Commit, "rev")
			break
		}
		all.add(withVersion(s.Tag, s.Version), "tag")
		all.addText(s.Commit, "commit")
	case "git":
		if s.Tag != "" {
			all.add(withVersion(s.Tag, s.Version), "tag")
		}
		all.add(s.Commit, "rev")
		all.addText(s.Forge, "forge")
	case "goModule":
		all.add(withVersion(s.Tag, s.Version), "version")
	}
	all.add(s.Hash, "hash")
	all.addText(s.Date, "date")
	return all
}

// withVersion is a tag that follows the attribute version, if that is in it.
func withVersion(tag, version string) any {
	before, after, found := strings.Cut(tag, version)
	if !found || version == "" {
		return tag
	}
	inside := func(text string) string {
		quoted := nix.Quote(text)
		return quoted[1 : len(quoted)-1]
	}
	return code(`"` + inside(before) + "${version}" + inside(after) + `"`)
}

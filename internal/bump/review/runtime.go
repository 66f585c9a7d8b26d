package review

import (
	"cmp"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/mod/modfile"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
)

// manifests read the declarations about a component in a file.
var manifests = map[string]func([]byte) manifest{
	"package.json":   readPackageJSON,
	"pyproject.toml": readPyproject,
	"Cargo.toml":     readCargo,
	"composer.json":  readComposer,
	"go.mod":         readGoMod,
}

// versionFiles contain only the version of a runtime.
var versionFiles = map[string]string{
	".nvmrc":          "node",
	".node-version":   "node",
	".python-version": "python",
	".ruby-version":   "ruby",
	".php-version":    "php",
	".java-version":   "java",
	".go-version":     "go",
}

// manifest has the declarations about a component. It lacks parts that cannot be read.
type manifest struct {
	version  string
	requires map[string]string // required versions, by runtime
}

func readPackageJSON(data []byte) manifest {
	var m struct {
		Version any
		Engines any
	}
	if json.Unmarshal(data, &m) != nil {
		return manifest{}
	}
	return manifest{stringOf(m.Version), requirements(m.Engines, "node", "npm", "yarn", "pnpm", "bun")}
}

func readPyproject(data []byte) manifest {
	var m struct {
		Project struct {
			Version        any `toml:"version"`
			RequiresPython any `toml:"requires-python"`
		} `toml:"project"`
		Tool struct {
			Poetry struct {
				Version      any `toml:"version"`
				Dependencies any `toml:"dependencies"`
			} `toml:"poetry"`
		} `toml:"tool"`
	}
	if toml.Unmarshal(data, &m) != nil {
		return manifest{}
	}
	requires := requirements(m.Tool.Poetry.Dependencies, "python")
	if python := stringOf(m.Project.RequiresPython); python != "" {
		requires["python"] = python
	}
	return manifest{cmp.Or(stringOf(m.Project.Version), stringOf(m.Tool.Poetry.Version)), requires}
}

func readCargo(data []byte) manifest {
	type about struct {
		Version any `toml:"version"` // a table if it is the workspace's
		Rust    any `toml:"rust-version"`
	}
	var m struct {
		Package   about `toml:"package"`
		Workspace struct {
			Package about `toml:"package"`
		} `toml:"workspace"`
	}
	if toml.Unmarshal(data, &m) != nil {
		return manifest{}
	}
	rust := cmp.Or(stringOf(m.Package.Rust), stringOf(m.Workspace.Package.Rust))
	return manifest{cmp.Or(stringOf(m.Package.Version), stringOf(m.Workspace.Package.Version)), requirements(map[string]any{"rust": rust}, "rust")}
}

func readComposer(data []byte) manifest {
	var m struct{ Version, Require any }
	if json.Unmarshal(data, &m) != nil {
		return manifest{}
	}
	return manifest{stringOf(m.Version), requirements(m.Require, "php")}
}

func readGoMod(data []byte) manifest {
	file, err := modfile.Parse("go.mod", data, nil)
	if err != nil { // it is for a newer Go; then toolchain is not read
		file, err = modfile.ParseLax("go.mod", data, nil)
	}
	if err != nil {
		return manifest{}
	}
	requires := map[string]string{}
	if file.Go != nil {
		requires["go"] = file.Go.Version
	}
	if file.Toolchain != nil {
		requires["toolchain"] = file.Toolchain.Name
	}
	return manifest{requires: requires}
}

// stringOf returns a value that is a string, else "".
func stringOf(value any) string {
	s, _ := value.(string)
	return s
}

// requirements selects runtimes from a table.
func requirements(table any, runtimes ...string) map[string]string {
	picked := map[string]string{}
	entries, _ := table.(map[string]any)
	for _, runtime := range runtimes {
		if wanted := stringOf(entries[runtime]); wanted != "" {
			picked[runtime] = wanted
		}
	}
	return picked
}

func hasRuntime(_ *reviewer, name string) bool {
	return manifests[path.Base(name)] != nil || versionFiles[path.Base(name)] != ""
}

func compareRuntimes(_ *reviewer, name string, before, after []byte) []string {
	base := path.Base(name)
	if runtime := versionFiles[base]; runtime != "" {
		was, is := firstLine(before), firstLine(after)
		if was == is {
			return nil
		}
		return []string{runtime + " " + arrow(was, is)}
	}
	if before == nil || after == nil {
		return nil // it is another component, not another requirement
	}
	was, is := manifests[base](before).requires, manifests[base](after).requires
	var texts []string
	for _, runtime := range allKeys(was, is) {
		if was[runtime] != is[runtime] {
			texts = append(texts, runtime+" "+arrow(was[runtime], is[runtime]))
		}
	}
	return texts
}

// allKeys returns the keys of both maps, sorted.
func allKeys(a, b map[string]string) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

func firstLine(data []byte) string {
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}

func isManifest(_ *reviewer, name string) bool { return manifests[path.Base(name)] != nil }

// placeholder matches a version that is only a placeholder.
var placeholder = lazyregexp.New(`^0\.0\.0\b`)

// compareVersion finds components whose version differs from the tag. It looks at the top and
// next to Containerfiles, and elsewhere at components that matched the tags so far.
func compareVersion(r *reviewer, name string, before, after []byte) []string {
	read := manifests[path.Base(name)]
	is, was := read(after).version, read(before).version
	if after == nil || r.Version == "" || is == "" || placeholder().MatchString(is) || catalog.CompareVersions(is, r.Version) == 0 {
		return nil
	}
	followed := before != nil && was != "" && catalog.CompareVersions(was, r.OldVersion) == 0
	if !followed && !r.holdsComponent(path.Dir(name)) {
		return nil
	}
	text := "version " + shownValue(is) + ", the release is " + shownValue(r.Version)
	if is == was {
		text += "; it did not change"
	}
	return []string{text}
}

// holdsComponent reports whether a component of the app is built from a folder.
func (r *reviewer) holdsComponent(folder string) bool {
	return folder == "." || slices.ContainsFunc(r.Containerfiles, func(c ContainerfileUse) bool {
		return path.Dir(path.Clean(c.Path)) == folder
	})
}

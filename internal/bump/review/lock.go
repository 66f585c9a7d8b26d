package review

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/libresh/libre/internal/lazyregexp"
)

// locks read lock files. Files in which lines identify a package are read by line, because they
// are long and people only see counts. The second result of a reader has the file's own
// packages: the project, its workspace, and others from its own source. They are left out,
// because they have the release's versions.
var locks = map[string]func([]byte) (packages, string){
	"package-lock.json":   readNPMLock,
	"npm-shrinkwrap.json": readNPMLock,
	"yarn.lock":           readYarnLock,
	"pnpm-lock.yaml":      readPNPMLock,
	"go.sum":              readGoSum,
	"Cargo.lock":          readCargoLock,
	"poetry.lock":         readPythonLock,
	"uv.lock":             readPythonLock,
	"composer.lock":       readComposerLock,
	"Gemfile.lock":        readGemfileLock,
}

// packages has the versions of each package, which may be several.
type packages map[string]map[string]bool

func (p packages) add(name, version string) {
	if name == "" || version == "" {
		return
	}
	if p[name] == nil {
		p[name] = map[string]bool{}
	}
	p[name][version] = true
}

func isLock(_ *reviewer, name string) bool { return locks[path.Base(name)] != nil }

func compareLocks(r *reviewer, name string, before, after []byte) []string {
	switch {
	case before == nil:
		return []string{"new"}
	case after == nil:
		return []string{"gone"}
	}
	read := locks[path.Base(name)]
	if path.Base(name) == "go.sum" {
		before, after = withoutModules(before, modulesAbove(r.Before, name)), withoutModules(after, modulesAbove(r.After, name))
	}
	was, wasText := read(before)
	is, isText := read(after)
	var added, gone, other int
	for name, versions := range is {
		if old, found := was[name]; !found {
			added++
		} else if !maps.Equal(old, versions) {
			other++
		}
	}
	for name := range was {
		if _, found := is[name]; !found {
			gone++
		}
	}
	var parts []string
	for _, count := range []struct {
		n    int
		what string
	}{{added, "added"}, {gone, "removed"}, {other, "in another version"}} {
		if count.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count.n, count.what))
		}
	}
	switch {
	case len(parts) == 0 && wasText == isText:
		return nil
	case len(parts) == 0:
		return []string{"changed"}
	}
	return []string{"packages: " + strings.Join(parts, ", ")}
}

func readNPMLock(data []byte) (packages, string) {
	var lock struct {
		Packages     map[string]json.RawMessage
		Dependencies json.RawMessage // of version 1 of the format
	}
	if json.Unmarshal(data, &lock) != nil {
		return nil, string(data)
	}
	found := packages{}
	if lock.Packages == nil {
		readNPMDependencies(found, lock.Dependencies, 0)
		return found, string(lock.Dependencies)
	}
	var text strings.Builder
	for _, place := range slices.Sorted(maps.Keys(lock.Packages)) {
		at := strings.LastIndex(place, "node_modules/")
		var p struct{ Version, Link any }
		if at < 0 || json.Unmarshal(lock.Packages[place], &p) != nil || p.Link == true {
			continue // the project, its workspaces, and links to these
		}
		found.add(place[at+len("node_modules/"):], stringOf(p.Version))
		fmt.Fprintf(&text, "%q: %s\n", place, lock.Packages[place])
	}
	return found, text.String()
}

func readNPMDependencies(found packages, data json.RawMessage, level int) {
	var dependencies map[string]json.RawMessage
	if level > 20 || json.Unmarshal(data, &dependencies) != nil { // each level is decoded again
		return
	}
	for name, raw := range dependencies {
		var d struct {
			Version      any
			Dependencies json.RawMessage
		}
		if json.Unmarshal(raw, &d) == nil {
			found.add(name, stringOf(d.Version))
			readNPMDependencies(found, d.Dependencies, level+1)
		}
	}
}

func readComposerLock(data []byte) (packages, string) {
	var lock struct {
		Packages []json.RawMessage
		Dev      []json.RawMessage `json:"packages-dev"`
	}
	if json.Unmarshal(data, &lock) != nil {
		return nil, string(data)
	}
	found := packages{}
	var text strings.Builder
	for _, raw := range append(lock.Packages, lock.Dev...) {
		var p struct {
			Name, Version any
			Dist          struct{ Type any }
		}
		if json.Unmarshal(raw, &p) == nil && p.Dist.Type != "path" {
			found.add(stringOf(p.Name), stringOf(p.Version))
			text.Write(raw)
		}
	}
	return found, text.String()
}

// yarnLocal matches a package of the project by the range that refers to it.
var yarnLocal = lazyregexp.New(`^"?@?[^@]+@(?:workspace|link|file|portal):`)

// readYarnLock reads both formats of yarn: a line of ranges, then the version.
func readYarnLock(data []byte) (packages, string) {
	found := packages{}
	var text strings.Builder
	name, local := "", false
	for line := range strings.Lines(string(data)) {
		plain := strings.TrimRight(line, "\r\n")
		if version, is := strings.CutPrefix(plain, "  version"); is && !local {
			found.add(name, strings.Trim(version, `: "`))
		} else if plain != "" && plain[0] != ' ' && plain[0] != '#' {
			first, _, _ := strings.Cut(strings.TrimPrefix(plain, `"`), ",")
			name, local = "", yarnLocal().MatchString(plain)
			if at := strings.Index(first[min(1, len(first)):], "@"); at >= 0 {
				name = first[:at+1]
			}
		}
		if !local {
			text.WriteString(line)
		}
	}
	return found, text.String()
}

// A key of `packages:` in pnpm's formats: /name/1.0 (5), /name@1.0 (6), name@1.0 (9).
var pnpmPackage = lazyregexp.New(`^  '?/?(@?[^@'\s]+?)[@/]([0-9][^'():\s]*)[^:]*'?:`)

func readPNPMLock(data []byte) (packages, string) {
	found := packages{}
	inside := false
	for line := range strings.Lines(string(data)) {
		if line[0] != ' ' && line[0] != '\n' && line[0] != '\r' {
			inside = strings.HasPrefix(line, "packages:")
		}
		if m := pnpmPackage().FindStringSubmatch(line); inside && m != nil {
			found.add(m[1], m[2])
		}
	}
	return found, string(data)
}

// modulesAbove returns the Go modules in a file's folder and the folders above. Modules of one
// repository may require each other's releases.
func modulesAbove(source fs.FS, name string) (modules []string) {
	for folder := path.Dir(name); ; folder = path.Dir(folder) {
		if data, err := readStart(source, path.Join(folder, "go.mod"), maxSmallFile); err == nil {
			if module := modfile.ModulePath(data); module != "" {
				modules = append(modules, module)
			}
		}
		if folder == "." {
			return modules
		}
	}
}

func withoutModules(sum []byte, own []string) []byte {
	var kept []byte
	for line := range bytes.Lines(sum) {
		module, _, _ := bytes.Cut(line, []byte(" "))
		if !slices.ContainsFunc(own, func(o string) bool { return string(module) == o || strings.HasPrefix(string(module), o+"/") }) {
			kept = append(kept, line...)
		}
	}
	return kept
}

// readGoSum counts downloaded modules, not modules of which only go.mod was read.
func readGoSum(data []byte) (packages, string) {
	found := packages{}
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) == 3 && !strings.HasSuffix(words[1], "/go.mod") {
			found.add(words[0], words[1])
		}
	}
	return found, string(data)
}

// The source of a package. Cargo writes none for a package in the workspace. Poetry and uv
// write a folder. https://docs.astral.sh/uv/concepts/projects/layout/
var (
	cargoSource = lazyregexp.New(`(?m)^source = `)
	pythonLocal = lazyregexp.New(`(?m)^source = \{ (?:editable|virtual|directory) = |^type = "directory"`)
)

func readCargoLock(data []byte) (packages, string) {
	return readTOMLLock(data, func(block string) bool { return !cargoSource().MatchString(block) })
}

func readPythonLock(data []byte) (packages, string) {
	return readTOMLLock(data, pythonLocal().MatchString)
}

// readTOMLLock reads the [[package]] tables of Cargo, Poetry and uv.
func readTOMLLock(data []byte, local func(block string) bool) (packages, string) {
	found := packages{}
	var text strings.Builder
	blocks := strings.Split("\n"+strings.ReplaceAll(string(data), "\r\n", "\n"), "\n[[package]]\n")
	text.WriteString(blocks[0])
	for _, block := range blocks[1:] {
		block, rest, _ := strings.Cut(block, "\n[metadata") // after the last package
		text.WriteString(rest)
		if local(block) {
			continue
		}
		text.WriteString(block)
		head, _, _ := strings.Cut(block, "\n[")
		var name, version string
		for line := range strings.Lines(head) {
			switch key, value, _ := strings.Cut(strings.TrimSpace(line), " = "); key {
			case "name":
				name = strings.Trim(value, `"`)
			case "version":
				version = strings.Trim(value, `"`)
			}
		}
		found.add(name, version)
	}
	return found, text.String()
}

var (
	gem     = lazyregexp.New(`^    ([\w.-]+) \(([^()]+)\)$`)
	gemName = lazyregexp.New(`^ +([\w.-]+)`)
)

// readGemfileLock leaves out gems from a folder, in all sections.
func readGemfileLock(data []byte) (packages, string) {
	found, local := packages{}, map[string]bool{}
	var text strings.Builder
	section := ""
	for line := range strings.Lines(string(data)) {
		plain := strings.TrimRight(line, "\r\n")
		if plain != "" && plain[0] != ' ' {
			section = plain
		}
		m := gem().FindStringSubmatch(plain)
		switch named := gemName().FindStringSubmatch(plain); {
		case section == "PATH" && m != nil:
			local[m[1]] = true
		case section == "PATH", named != nil && local[named[1]]:
		default:
			text.WriteString(line)
			if m != nil {
				found.add(m[1], m[2])
			}
		}
	}
	return found, text.String()
}

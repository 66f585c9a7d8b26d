package review

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"strings"
)

// locks read lock files. They are read by their lines where a package is known by
// them, as these files are long: what is counted is for people.
var locks = map[string]func([]byte) packages{
	"package-lock.json": readNPMLock,
	"yarn.lock":         readYarnLock,
	"pnpm-lock.yaml":    readPNPMLock,
	"go.sum":            readGoSum,
	"Cargo.lock":        readTOMLLock,
	"poetry.lock":       readTOMLLock,
	"uv.lock":           readTOMLLock,
	"composer.lock":     readComposerLock,
	"Gemfile.lock":      readGemfileLock,
}

// packages are the versions of each package: a tree may need several.
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

func compareLocks(_ *reviewer, name string, before, after []byte) []string {
	switch {
	case before == nil:
		return []string{"new"}
	case after == nil:
		return []string{"gone"}
	}
	read := locks[path.Base(name)]
	was, is := read(before), read(after)
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
	if len(parts) == 0 {
		return []string{"changed"}
	}
	return []string{"packages: " + strings.Join(parts, ", ")}
}

func readNPMLock(data []byte) packages {
	type dependency struct {
		Version      any
		Dependencies map[string]json.RawMessage // of version 1 of the format
	}
	var lock struct {
		Packages map[string]struct {
			Version any
			Link    any
		}
		Dependencies map[string]json.RawMessage
	}
	if json.Unmarshal(data, &lock) != nil {
		return nil
	}
	found := packages{}
	for place, p := range lock.Packages {
		if at := strings.LastIndex(place, "node_modules/"); at >= 0 && p.Link != true {
			found.add(place[at+len("node_modules/"):], stringOf(p.Version))
		}
	}
	if lock.Packages != nil {
		return found
	}
	var nested func(map[string]json.RawMessage, int)
	nested = func(dependencies map[string]json.RawMessage, level int) {
		for name, raw := range dependencies {
			var d dependency
			if json.Unmarshal(raw, &d) == nil {
				found.add(name, stringOf(d.Version))
				if level < 20 { // each level is read once more
					nested(d.Dependencies, level+1)
				}
			}
		}
	}
	nested(lock.Dependencies, 0)
	return found
}

func readComposerLock(data []byte) packages {
	type entry struct{ Name, Version any }
	var lock struct {
		Packages []entry
		Dev      []entry `json:"packages-dev"`
	}
	if json.Unmarshal(data, &lock) != nil {
		return nil
	}
	found := packages{}
	for _, p := range append(lock.Packages, lock.Dev...) {
		found.add(stringOf(p.Name), stringOf(p.Version))
	}
	return found
}

// readYarnLock reads both formats of yarn: a line of ranges, then the version.
func readYarnLock(data []byte) packages {
	found := packages{}
	name := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if version, is := strings.CutPrefix(line, "  version"); is {
			found.add(name, strings.Trim(version, `: "`))
		} else if line != "" && line[0] != ' ' && line[0] != '#' {
			first, _, _ := strings.Cut(strings.TrimPrefix(line, `"`), ",")
			name = ""
			if at := strings.Index(first[min(1, len(first)):], "@"); at >= 0 {
				name = first[:at+1]
			}
		}
	}
	return found
}

// A key of `packages:` in pnpm's formats: /name/1.0 (5), /name@1.0 (6), name@1.0 (9).
var pnpmPackage = regexp.MustCompile(`^  '?/?(@?[^@'\s]+?)[@/]([0-9][^'():\s]*)[^:]*'?:`)

func readPNPMLock(data []byte) packages {
	found := packages{}
	inside := false
	for line := range strings.Lines(string(data)) {
		if line[0] != ' ' && line[0] != '\n' && line[0] != '\r' {
			inside = strings.HasPrefix(line, "packages:")
		}
		if m := pnpmPackage.FindStringSubmatch(line); inside && m != nil {
			found.add(m[1], m[2])
		}
	}
	return found
}

// readGoSum counts what was downloaded, not the go.mod files that were looked at.
func readGoSum(data []byte) packages {
	found := packages{}
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) == 3 && !strings.HasSuffix(words[1], "/go.mod") {
			found.add(words[0], words[1])
		}
	}
	return found
}

// readTOMLLock reads the [[package]] tables of Cargo, Poetry and uv.
func readTOMLLock(data []byte) packages {
	found := packages{}
	name, inside := "", false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			name, inside = "", line == "[[package]]"
		}
		if key, value, is := strings.Cut(line, " = "); is && inside {
			switch key {
			case "name":
				name = strings.Trim(value, `"`)
			case "version":
				found.add(name, strings.Trim(value, `"`))
			}
		}
	}
	return found
}

var gem = regexp.MustCompile(`^    ([\w.-]+) \(([^()]+)\)$`)

func readGemfileLock(data []byte) packages {
	found := packages{}
	for line := range strings.Lines(string(data)) {
		if m := gem.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			found.add(m[1], m[2])
		}
	}
	return found
}

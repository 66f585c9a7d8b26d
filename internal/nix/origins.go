package nix

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nix-community/go-nix/pkg/derivation"
)

// Origin is what the derivation of a store path says about it. Unknown fields are empty.
type Origin struct {
	PName, Version string
	Source         Fixed // what src fetches
	Patches        []PatchFile
	Modules        Folder // where its Go modules are, if it was built from some
}

// Folder is a folder in the output of a derivation, or in a store path that no derivation
// makes. In the second case Drv is "".
type Folder struct {
	Output
	Name string // relative to the store path; "" for the store path itself
}

// Dir returns the folder's absolute path.
func (f Folder) Dir() string { return path.Join(f.Path, f.Name) }

// PatchFile is a patch that a derivation applies.
type PatchFile struct {
	Path string // in the store
	Hash string // hash of the file: sha256:BASE16; empty if the file is not in the store and its sha256 is unknown
	URL  string // where it is fetched from
}

// Origins reads what derivations say about the store paths that they or their dependencies
// make. It omits paths that no derivation makes, such as a file of the catalogue.
func Origins(drvs, paths []string) (map[string]Origin, error) {
	graph := drvGraph{read: map[string]*derivation.Derivation{}, makes: map[string]string{}}
	wanted := map[string]bool{}
	for _, path := range paths {
		wanted[path] = true
	}
	found := map[string]Origin{}
	seen := map[string]bool{}
	for level := drvs; len(level) > 0 && len(found) < len(wanted); {
		var next []string
		for _, drv := range level {
			if seen[drv] {
				continue
			}
			seen[drv] = true
			read, err := graph.get(drv)
			if errors.Is(err, fs.ErrNotExist) {
				continue // garbage collection removed it: its paths came from elsewhere
			}
			if err != nil {
				return nil, err
			}
			for _, output := range read.Outputs {
				if wanted[output.Path] {
					found[output.Path] = graph.origin(read)
				}
			}
			next = append(next, slices.Sorted(maps.Keys(read.InputDerivations))...)
		}
		level = next
	}
	return found, nil
}

// drvGraph holds the derivations that were read.
type drvGraph struct {
	read  map[string]*derivation.Derivation
	makes map[string]string // store path → the derivation that makes it
}

func (g drvGraph) get(drv string) (*derivation.Derivation, error) {
	if read := g.read[drv]; read != nil {
		return read, nil
	}
	read, err := readDerivation(drv)
	if err != nil {
		return nil, err
	}
	g.read[drv] = read
	for _, output := range read.Outputs {
		g.makes[output.Path] = drv
	}
	return read, nil
}

// origin reads the environment of a derivation, as nixpkgs' mkDerivation writes it.
// https://nixos.org/manual/nixpkgs/stable/#chap-stdenv
func (g drvGraph) origin(read *derivation.Derivation) Origin {
	environment := variables(read)
	for input := range read.InputDerivations {
		_, _ = g.get(input) // an unreadable derivation makes no path that is looked up
	}
	origin := Origin{PName: environment.text("pname"), Version: environment.text("version")}
	for _, patch := range environment.list("patches") {
		origin.Patches = append(origin.Patches, g.patch(patch))
	}
	src := environment.text("src")
	if fetched := g.fetched(src); fetched != nil {
		origin.Source = *fetched
	}
	origin.Modules = Folder{Output: Output{g.makes[src], src}, Name: path.Join(environment.text("modRoot"), "vendor")}
	if modules := environment.text("goModules"); modules != "" {
		origin.Modules = Folder{Output: Output{g.makes[modules], modules}}
	}
	return origin
}

// fetched returns the fixed-output derivation that makes a path; nil if there is none.
func (g drvGraph) fetched(path string) *Fixed {
	drv := g.makes[path]
	if drv == "" || g.read[drv].Outputs["out"] == nil || g.read[drv].Outputs["out"].HashAlgorithm == "" {
		return nil
	}
	f := fixed(drv, g.read[drv])
	return &f
}

func (g drvGraph) patch(file string) PatchFile {
	patch := PatchFile{Path: file}
	if sum, err := hashFile(file); err == nil {
		patch.Hash = "sha256:" + sum
	}
	if fetched := g.fetched(file); fetched != nil {
		if len(fetched.URLs) > 0 {
			patch.URL = fetched.URLs[0]
		}
		if output := g.read[fetched.Drv].Outputs["out"]; output.HashAlgorithm == "sha256" {
			patch.Hash = "sha256:" + output.Hash
		}
	}
	return patch
}

// Name returns the name of the patch's file, without a store hash.
func (p PatchFile) Name() string {
	name := path.Base(p.Path)
	if path.Dir(p.Path) == "/nix/store" {
		if _, after, ok := strings.Cut(name, "-"); ok {
			return after
		}
	}
	return name
}

// env is the environment of a derivation, or its structured attributes.
type env struct {
	plain      map[string]string
	structured map[string]json.RawMessage
}

func variables(read *derivation.Derivation) env {
	e := env{plain: read.Env}
	if text := read.Env["__json"]; text != "" {
		_ = json.Unmarshal([]byte(text), &e.structured) // text that is not JSON has no attributes
	}
	return e
}

func (e env) text(name string) string {
	var text string
	if raw, ok := e.structured[name]; ok {
		_ = json.Unmarshal(raw, &text)
		return text
	}
	return e.plain[name]
}

func (e env) list(name string) []string {
	var all []string
	if raw, ok := e.structured[name]; ok && json.Unmarshal(raw, &all) == nil {
		return all
	}
	return strings.Fields(e.text(name))
}

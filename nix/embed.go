// Package nixcode embeds libre's Nix code in the program, so that a catalogue is evaluated
// with the code of the running libre, also offline.
package nixcode

import (
	"embed"
	"io/fs"
	"slices"
)

// The directive go:embed silently skips folders with a go.mod and symbolic links; a test compares the
// embedded files with those that git tracks.
//
//go:embed *.nix *.sh all:describe all:hostpkgs all:template all:template-ci
var files embed.FS

// Select is the Nix function that selects the result of an evaluation.
//
//go:embed select.nix
var Select string

// Library returns the flake with mkApp and mkCatalogue.
func Library() fs.FS { return library{files} }

// HostPackages returns the flake of the host package set, without its host.json.
func HostPackages() fs.FS { return sub("hostpkgs") }

// Template returns the files that `libre init` writes. Module files are named go.mod.in
// and go.sum.in, because go:embed skips folders with a go.mod.
func Template() fs.FS { return sub("template") }

// Workflows returns the files that `libre init --ci` adds for a forge, github or forgejo,
// by their paths in the catalogue; nil for another forge.
func Workflows(forge string) map[string][]byte {
	entries, err := files.ReadDir("template-ci/" + forge)
	if err != nil {
		return nil
	}
	workflows := map[string][]byte{}
	add := func(target, source string) {
		content, err := files.ReadFile("template-ci/" + source)
		if err != nil {
			panic(err) // it is embedded
		}
		workflows["."+forge+"/"+target] = content
	}
	for _, entry := range entries {
		add("workflows/"+entry.Name(), forge+"/"+entry.Name())
	}
	add("libre-setup.sh", "setup.sh")
	return workflows
}

func sub(dir string) fs.FS {
	tree, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // only a malformed constant above
	}
	return tree
}

// library has only the files that the evaluation of a catalogue reads, those at the top
// and in describe, so that an edit of the template changes no store path.
type library struct{ embed.FS }

func (l library) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := l.FS.ReadDir(name)
	return slices.DeleteFunc(entries, func(entry fs.DirEntry) bool {
		return entry.IsDir() && entry.Name() != "describe"
	}), err
}

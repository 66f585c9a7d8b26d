// Package nixcode carries libre's Nix code in the program, so that a catalogue
// is evaluated with the code of the libre that runs, offline too.
package nixcode

import (
	"embed"
	"io/fs"
	"slices"
)

// The directive go:embed leaves out folders with a go.mod and symbolic links without a word;
// a test compares what is embedded with what git tracks.
//
//go:embed *.nix *.sh all:describe all:hostpkgs all:template all:template-ci
var files embed.FS

// Select is the function that selects what an evaluation gives.
//
//go:embed select.nix
var Select string

// Library is the flake that gives a catalogue mkApp and mkCatalogue.
func Library() fs.FS { return library{files} }

// HostPackages is the flake of the host package set, without its host.json.
func HostPackages() fs.FS { return sub("hostpkgs") }

// Template is what `libre init` writes. Module files are named go.mod.in and
// go.sum.in, since go:embed leaves out folders with a go.mod.
func Template() fs.FS { return sub("template") }

// Workflows are the files that `libre init --ci` adds for a forge, github or
// forgejo, by their paths in the catalogue; nil for another forge.
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

// library shows the files at the top and describe: what a catalogue's evaluation reads,
// so that an edit of the template moves no store path.
type library struct{ embed.FS }

func (l library) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := l.FS.ReadDir(name)
	return slices.DeleteFunc(entries, func(entry fs.DirEntry) bool {
		return entry.IsDir() && entry.Name() != "describe"
	}), err
}

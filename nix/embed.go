// Package nixcode embeds libre's Nix code in the program, so that a catalogue is evaluated
// with the code of the running libre, also offline.
package nixcode

import (
	"embed"
	"io/fs"
	"slices"
	"strconv"
	"strings"
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

// Forges are the forges that `libre init --ci` has workflows for.
var Forges = []string{"github", "forgejo", "gitlab"}

// MostMachines is how many jobs GitLab runs in parallel at most. GitHub's limit is 256.
// https://docs.gitlab.com/ci/yaml/#parallel
const MostMachines = 200

// Workflows returns the files that `libre init --ci` adds for one of Forges, by their paths in
// the catalogue; nil for another word. The jobs that publish are for one machine, or divide the
// work among at most the given number of machines.
func Workflows(forge string, machines int) map[string][]byte {
	if !slices.Contains(Forges, forge) {
		return nil
	}
	workflows := map[string][]byte{}
	for _, entry := range must(files.ReadDir("template-ci/" + forge)) {
		workflows[workflowPath(forge, entry.Name())] = must(files.ReadFile("template-ci/" + forge + "/" + entry.Name()))
	}
	publishing := workflowPath(forge, "libre-publish.yml")
	if forge == "gitlab" {
		publishing = workflowPath(forge, "libre.yml")
	}
	workflows[publishing] = append(workflows[publishing], publishJobs(forge, machines)...)
	workflows["."+forge+"/libre-setup.sh"] = must(files.ReadFile("template-ci/setup.sh"))
	return workflows
}

// publishJobs returns the jobs that build and publish.
func publishJobs(forge string, machines int) string {
	if machines == 1 {
		return string(must(files.ReadFile("template-ci/one/" + forge + ".yml")))
	}
	var numbers []string
	for number := range machines {
		numbers = append(numbers, strconv.Itoa(number+1))
	}
	fill := strings.NewReplacer("MACHINES", strconv.Itoa(machines), "NUMBERS", strings.Join(numbers, ", "))
	return fill.Replace(string(must(files.ReadFile("template-ci/many/" + forge + ".yml"))))
}

// workflowPath is where a forge expects a workflow. GitLab has one file at the top, which
// includes others.
func workflowPath(forge, name string) string {
	switch {
	case forge != "gitlab":
		return "." + forge + "/workflows/" + name
	case strings.HasPrefix(name, "."):
		return name
	}
	return ".gitlab/" + name
}

// must is for what is embedded.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
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

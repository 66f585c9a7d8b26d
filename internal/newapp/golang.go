package newapp

import (
	"cmp"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// readGo finds the programs of a Go module at the top of the source, or in its only folder
// with one.
func (f *Findings) readGo(t *tree) bool {
	root := goRoot(t)
	if root == "" {
		return false
	}
	file, err := modfile.ParseLax("go.mod", t.read(path.Join(root, "go.mod")), nil)
	if err != nil || file.Module == nil {
		f.lookAt("%s cannot be read", text.Name(path.Join(root, "go.mod")))
		return false
	}
	programs := mainPackages(t, root)
	if len(programs) == 0 {
		f.found("Go module %s, without a program", text.Name(file.Module.Mod.Path))
		return false
	}
	f.found("Go module %s with the %s", text.Name(file.Module.Mod.Path), programsText(file.Module.Mod.Path, programs))
	chosen := choosePrograms(programs, f.name)
	var arguments set
	if root != "." {
		arguments.add(root, "modRoot")
	}
	arguments.add([]string{chosen}, "subPackages")
	arguments.add("0", "env", "CGO_ENABLED")
	arguments.add(false, "doCheck")
	if t.exists(path.Join(root, "vendor/modules.txt")) || len(file.Require) == 0 {
		arguments.add(code("null"), "vendorHash") // the source has its dependencies
	} else {
		f.hashes = append(f.hashes, "vendorHash")
	}
	program := programName(file.Module.Mod.Path, chosen)
	var attributes set
	attributes.add(code("{ buildGoModule, ... }: buildGoModule "+setText(arguments, "")), "package")
	attributes.add([]string{"bin/" + program}, "entrypoint")
	f.addComponent(nameOf(program, "server"), attributes)
	if len(programs) > 1 {
		f.guessed("%s is the program to run", text.Name(chosen))
	}
	f.lookAt("upstream's tests are not run: remove doCheck = false to run them")
	f.addContainerConfig(t, program)
	return true
}

// goRoot is the folder of the module to build, "" if there is none, or several.
func goRoot(t *tree) string {
	if t.has("go.mod") {
		return "."
	}
	found := t.find(regexp.MustCompile(`^go\.mod$`))
	if len(found) != 1 || len(t.find(containerfile.FileName())) > 0 {
		return ""
	}
	return path.Dir(found[0])
}

// mainPackages lists the folders with a program, from the root of the module.
func mainPackages(t *tree, root string) []string {
	found := map[string]bool{}
	var programs []string
	for _, name := range t.names {
		folder := path.Dir(name)
		if found[folder] || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || root != "." && !strings.HasPrefix(name, root+"/") {
			continue
		}
		source := t.read(name)
		parsed, err := parser.ParseFile(token.NewFileSet(), "", source, parser.PackageClauseOnly)
		if err != nil || parsed.Name.Name != "main" || ignoresBuild().Match(source) {
			continue
		}
		found[folder] = true
		inside := strings.Trim(strings.TrimPrefix("/"+folder, "/"+strings.TrimPrefix(root, ".")), "/")
		programs = append(programs, cmp.Or(inside, "."))
	}
	return programs
}

// ignoresBuild matches files that are no part of their package.
var ignoresBuild = lazyregexp.New(`(?m)^//go:build ignore`)

// choosePrograms chooses the program to run: that of the module itself, else the one with the
// app's name or that of a server, else the first.
func choosePrograms(programs []string, app string) string {
	for _, name := range []string{".", app, "server", app + "-server", "web", "api"} {
		for _, program := range programs {
			if program == name || path.Base(program) == name {
				return program
			}
		}
	}
	return programs[slices.Index(programs, slices.Min(programs))]
}

// programName returns the name that go build gives a program.
func programName(modulePath, program string) string {
	name := path.Join(modulePath, program)
	if prefix, _, ok := module.SplitPathVersion(name); ok && program == "." {
		name = prefix
	}
	return path.Base(name)
}

func programsText(modulePath string, programs []string) string {
	var names []string
	for _, program := range programs {
		names = append(names, programName(modulePath, program))
	}
	if len(names) == 1 {
		return "program " + text.Name(names[0])
	}
	return "programs " + text.Enumerate(shown(names), ", ", 8)
}

// shown are names from outside, safe to show.
func shown(names []string) []string {
	safe := make([]string, len(names))
	for i, name := range names {
		safe[i] = text.Name(name)
	}
	return safe
}

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What else is remembered longer than a call, by something that can be a digest or a
// repository: none of it says which registry has a blob.
var otherMemories = []string{
	"internal/cli.shownTails",
	"internal/nix.warned",
	"internal/sign.refused",
	"internal/sign.subjects",
	"internal/sign.tagged",
}

// The registry client's ledger alone records which repository has which blob. A second
// ledger would keep digests or repositories for longer than a call.
func TestBlobsAreRememberedByTheRegistryClientAlone(t *testing.T) {
	var found []string
	err := filepath.WalkDir("../internal", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("..", file)
		if entry.IsDir() && (entry.Name() == "testdata" || isKit(name) || name == "internal/registry" || name == "internal/oci") {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			found = append(found, memories(t, name, file, nil)...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if !slices.Equal(found, otherMemories) {
		t.Errorf("outside of internal/registry, these remember digests or repositories: %q, expected %q", found, otherMemories)
	}
	for _, second := range []string{
		"var known map[v1.Hash]bool", "type ledger struct{ known map[v1.Hash][]string }", "type ledger struct{ known []map[name.Repository]bool }",
		"type ledger struct{ known sync.Map }", "type known map[name.Digest]bool",
	} {
		if got := memories(t, "internal/cli/second.go", "second.go", "package cli\n"+second); !slices.Equal(got, []string{"internal/cli.known"}) {
			t.Errorf("a second ledger in internal/cli, %s: found %q", second, got)
		}
	}
}

// memories lists the fields, types and variables of a package that map digests or
// repositories to something.
func memories(t *testing.T, name, file string, source any) (found []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	add := func(names []*ast.Ident, of ast.Expr) {
		if of == nil || !mapsDigests(of) {
			return
		}
		for _, n := range names {
			found = append(found, filepath.Dir(name)+"."+n.Name)
		}
	}
	for _, declaration := range parsed.Decls {
		general, is := declaration.(*ast.GenDecl)
		if !is {
			continue
		}
		for _, spec := range general.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				add(s.Names, s.Type)
			case *ast.TypeSpec:
				structure, is := s.Type.(*ast.StructType)
				if !is {
					add([]*ast.Ident{s.Name}, s.Type)
					continue
				}
				for _, field := range structure.Fields.List {
					add(field.Names, field.Type)
				}
			}
		}
	}
	return found
}

// mapsDigests tells a type that has a map from digests or repositories, or a sync.Map,
// which can be one.
func mapsDigests(of ast.Expr) (is bool) {
	ast.Inspect(of, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.FuncType, *ast.StructType:
			return false
		case *ast.MapType:
			key, selected := x.Key.(*ast.SelectorExpr)
			is = is || selected && slices.Contains([]string{"Hash", "Repository", "Digest", "Reference"}, key.Sel.Name)
		case *ast.SelectorExpr:
			pkg, plain := x.X.(*ast.Ident)
			is = is || plain && pkg.Name == "sync" && x.Sel.Name == "Map"
		}
		return true
	})
	return is
}

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Where each shared concern lives, and the text that only its home spells out: a second
// one would have to. Imports and calls that belong to one room are in .golangci.yml.
var concerns = []struct{ name, home, text string }{
	{"which forge a URL belongs to", "internal/upstream", `ghe\.com|codeberg\.org`},
	{"the OCI layout on disk", "internal/oci/layout", `org\.opencontainers\.image\.ref\.name|imageLayoutVersion|^"(oci-layout|index\.json|blobs)"$`},
	{"escape sequences of terminals", "internal/text", `\[0-\?\]|(x1b|033|u001b).*\[[^\]]+-`},
	{"refusals that git prints", "internal/git", `could not read \(Username|Authentication failed for|publickey`},
	{"requests to registries", "internal/registry", `tags/list\?|^"(manifests|blobs|referrers)/`},
	{"NAR", "internal/upstream", `nix-archive-1`},
}

// A second implementation of a shared concern is found by what it has to spell out.
func TestSharedConcernsHaveOneHome(t *testing.T) {
	root := ".."
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, file)
		if entry.IsDir() && (entry.Name() == "testdata" || strings.HasPrefix(name, ".git") || isKit(name)) {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		for _, problem := range outOfPlace(t, name, file, nil) {
			t.Error(problem)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range concerns {
		literal := regexp.MustCompile(`\\`).ReplaceAllString(strings.Split(c.text, "|")[0], "")
		second := "package cli\n\nconst second = `x" + literal + "`\n"
		if len(outOfPlace(t, "internal/cli/second.go", "second.go", second)) != 1 {
			t.Errorf("a second home of %s in internal/cli is not found", c.name)
		}
	}
}

// isKit tells the stand-ins that tests use.
func isKit(dir string) bool {
	switch dir {
	case "internal/testkit", "internal/bench", "internal/pgtest", "internal/upstream/forgetest", "internal/sign/signtest":
		return true
	}
	return false
}

// outOfPlace lists the string literals of a Go file that belong to another room.
func outOfPlace(t *testing.T, name, file string, source any) (problems []string) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		literal, is := n.(*ast.BasicLit)
		if !is || literal.Kind != token.STRING {
			return true
		}
		for _, c := range concerns {
			if !strings.HasPrefix(name, c.home+"/") && regexp.MustCompile(c.text).MatchString(literal.Value) {
				problems = append(problems, set.Position(literal.Pos()).String()+": "+literal.Value+": "+c.name+" is the concern of "+c.home)
			}
		}
		return true
	})
	return problems
}

package cli

import (
	"go/ast"
	"go/types"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// Formats of others, which docs/json.md names and does not describe.
var jsonStandards = []string{
	"encoding/json.RawMessage", // CycloneDX VDR
	"github.com/libresh/libre/internal/scan.SARIFLog",
	"github.com/libresh/libre/internal/describe.Application", // has a JSON Schema
}

// What the commands print as JSON has the types that docs/json.md describes.
func TestJSONOfCommandsHasTheDocumentedTypes(t *testing.T) {
	printed, described := printedTypes(t), map[string]bool{}
	for _, name := range jsonStandards {
		described[name] = true
	}
	for _, result := range jsonResults {
		described[typeOf(reflect.TypeOf(result.value))] = true
	}
	if got, want := slices.Sorted(maps.Keys(printed)), slices.Sorted(maps.Keys(described)); !slices.Equal(got, want) {
		t.Errorf("printed:   %q\ndescribed: %q", got, want)
	}
}

// printedTypes are those of the arguments of UI.JSON, without pointers.
func printedTypes(t *testing.T) map[string]bool {
	t.Helper()
	const mode = packages.NeedName | packages.NeedImports | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo
	loaded, err := packages.Load(&packages.Config{Mode: mode}, ".")
	if err != nil || len(loaded) != 1 || len(loaded[0].Errors) > 0 {
		t.Fatal(err, loaded)
	}
	printed := map[string]bool{}
	for _, file := range loaded[0].Syntax {
		ast.Inspect(file, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok {
				if method, ok := call.Fun.(*ast.SelectorExpr); ok && method.Sel.Name == "JSON" {
					printed[strings.ReplaceAll(types.TypeString(loaded[0].TypesInfo.TypeOf(call.Args[0]), nil), "*", "")] = true
				}
			}
			return true
		})
	}
	return printed
}

// typeOf is a type's name as go/types writes it.
func typeOf(kind reflect.Type) string {
	if kind.Kind() == reflect.Slice {
		return "[]" + typeOf(kind.Elem())
	}
	return kind.PkgPath() + "." + kind.Name()
}

package cli

import (
	"encoding"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/describe"
)

// A jsonPageWriter writes the tables of types, each once.
type jsonPageWriter struct {
	*testing.T
	page   strings.Builder
	queue  []reflect.Type
	titles map[reflect.Type]string
	words  map[string]map[string]map[string]string // comments by folder, type and field
	values map[string]map[string][]string          // of the constants, by folder and type
}

func makeJSONPage(t *testing.T) string {
	t.Helper()
	w := &jsonPageWriter{T: t, titles: map[reflect.Type]string{}, words: map[string]map[string]map[string]string{}, values: map[string]map[string][]string{}}
	w.page.WriteString(jsonIntroduction)
	tops := map[reflect.Type]string{}
	before := ""
	for _, result := range jsonResults {
		if result.command != before {
			fmt.Fprintf(&w.page, "\n## libre %s\n", result.command)
		}
		before = result.command
		kind := reflect.TypeOf(result.value)
		if kind.Kind() == reflect.Slice {
			kind = kind.Elem()
			result.is = "A list. " + result.is
		}
		if same, ok := tops[kind]; ok {
			fmt.Fprintf(&w.page, "\n%s The fields are those of [libre %s](#libre-%[2]s).\n", result.is, same)
			continue
		}
		tops[kind] = result.command
		fmt.Fprintf(&w.page, "\n%s\n\n", result.is)
		w.table(kind)
	}
	w.page.WriteString("\n## Objects inside\n")
	for len(w.queue) > 0 {
		next := w.queue[0]
		w.queue = w.queue[1:]
		fmt.Fprintf(&w.page, "\n### %s\n\n", w.titles[next])
		w.table(next)
	}
	return w.page.String()
}

// table writes the fields of a struct.
func (w *jsonPageWriter) table(kind reflect.Type) {
	w.page.WriteString("| field | type | |\n|---|---|---|\n")
	w.rows(kind)
}

func (w *jsonPageWriter) rows(kind reflect.Type) {
	for i := range kind.NumField() {
		field := kind.Field(i)
		tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case tag == "-" || !field.IsExported() && !field.Anonymous:
			continue
		case field.Anonymous && tag == "":
			embedded := field.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			w.rows(embedded)
			continue
		case tag == "":
			w.Errorf("%s.%s: give it a name in JSON", kind, field.Name)
		}
		if strings.Contains(options, "omit") {
			tag += "?"
		}
		fmt.Fprintf(&w.page, "| `%s` | %s | %s |\n", tag, w.typeName(field.Type), strings.ReplaceAll(w.about(kind, field), "|", `\|`))
	}
}

// about is what a field's comment says, what its name says everywhere, and the values that
// it may have.
func (w *jsonPageWriter) about(kind reflect.Type, field reflect.StructField) string {
	w.read(kind)
	name, _, _ := strings.Cut(kind.Name(), "[")
	says := w.words[kind.PkgPath()][name][field.Name]
	if says == "" {
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		says = jsonWords[tag]
	}
	of := field.Type
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() == reflect.String && of.PkgPath() != "" {
		w.read(of)
		if values := w.values[of.PkgPath()][of.Name()]; len(values) > 0 && !strings.Contains(says, strings.Trim(values[0], "`")) {
			says = strings.TrimPrefix(says+"; one of "+strings.Join(values, ", "), "; ")
		}
	}
	if says == "" {
		w.Errorf("%s.%s: say in a comment what it is, or in jsonWords if it is the same everywhere", kind, field.Name)
	}
	return says
}

// jsonWords are the fields that mean the same in every result. A comment at the field says
// more.
var jsonWords = map[string]string{
	"app":            "name of the app",
	"component":      "name of the component",
	"variant":        "name of the variant",
	"image":          "APP/COMPONENT/VARIANT",
	"release":        "APP/VARIANT",
	"reference":      "REGISTRY/NAME:TAG",
	"digest":         "of the image's index or manifest",
	"platform":       "of the image",
	"version":        "upstream's",
	"packageVersion": "the catalogue's",
	"purl":           "package URL",
	"license":        "SPDX expression",
	"error":          "what went wrong, in one line",
	"reason":         "why, in one line",
	"step":           "the step that failed",
	"log":            "path of the log on this machine",
	"files":          "paths in the catalogue",
	"warnings":       "a line each",
	"system":         "Nix system",
	"aliases":        "other IDs of the same vulnerability",
	"justification":  "in OpenVEX's words",
	"action":         "what to do",
	"notes":          "why",
	"severity":       "critical, high, medium, low, negligible or unknown",
	"description":    "for people",
	"homepage":       "URL",
	"healthCheck":    "how to check that it works",
	"edits":          "what was changed",
	"decision":       "which version is taken, and why",
	"migration":      "what an upgrade does to data",
}

func (w *jsonPageWriter) typeName(kind reflect.Type) string {
	switch {
	case kind.Kind() == reflect.Pointer:
		return w.typeName(kind.Elem())
	case kind == reflect.TypeFor[time.Time]():
		return "time"
	case kind == reflect.TypeFor[describe.Application]():
		return "object: `libre schema application` prints its JSON Schema"
	case kind == reflect.TypeFor[json.RawMessage](), kind.Kind() == reflect.Interface:
		return "any"
	case kind.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return "string"
	case kind.Implements(reflect.TypeFor[json.Marshaler]()):
		w.Errorf("%s writes its own JSON: say here what it is", kind)
	}
	switch kind.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list of " + w.typeName(kind.Elem())
	case reflect.Map:
		return "object of " + w.typeName(kind.Elem())
	case reflect.Struct:
		title := w.title(kind)
		return fmt.Sprintf("[%s](#%s)", title, strings.ToLower(strings.ReplaceAll(title, " ", "-")))
	}
	w.Errorf("no word for %s", kind)
	return ""
}

// title is the heading of a struct's table. Equal names of two packages are kept apart.
func (w *jsonPageWriter) title(kind reflect.Type) string {
	if title, ok := w.titles[kind]; ok {
		return title
	}
	name, of, _ := strings.Cut(kind.Name(), "[")
	title := strings.TrimSuffix(strings.ToUpper(name[:1])+name[1:], "JSON")
	if of = strings.TrimSuffix(of, "]"); of != "" {
		title += " of " + of[strings.LastIndex(of, ".")+1:]
	}
	for _, other := range w.titles {
		if other == title {
			title = strings.ToUpper(filepath.Base(kind.PkgPath())[:1]) + filepath.Base(kind.PkgPath())[1:] + " " + strings.ToLower(title)
		}
	}
	w.titles[kind] = title
	w.queue = append(w.queue, kind)
	return title
}

// read reads the comments of a package's fields, and the values of its constants.
func (w *jsonPageWriter) read(kind reflect.Type) {
	in := kind.PkgPath()
	if w.words[in] != nil {
		return
	}
	w.words[in], w.values[in] = map[string]map[string]string{}, map[string][]string{}
	folder, ours := strings.CutPrefix(in, "github.com/libresh/libre/")
	if !ours {
		return
	}
	files, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
	if err != nil {
		w.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			w.Fatal(err)
		}
		ast.Inspect(tree, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.TypeSpec:
				w.words[in][node.Name.Name] = fieldComments(node)
			case *ast.ValueSpec:
				w.addValues(in, node)
			}
			return true
		})
	}
}

func fieldComments(spec *ast.TypeSpec) map[string]string {
	comments := map[string]string{}
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return comments
	}
	for _, field := range structure.Fields.List {
		text := field.Comment.Text()
		if text == "" {
			text = field.Doc.Text()
		}
		for _, name := range field.Names {
			comments[name.Name] = strings.Join(strings.Fields(text), " ")
		}
	}
	return comments
}

// addValues notes typed constants: const New Kind = "new".
func (w *jsonPageWriter) addValues(in string, spec *ast.ValueSpec) {
	kind, ok := spec.Type.(*ast.Ident)
	if !ok {
		return
	}
	for _, value := range spec.Values {
		if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			w.values[in][kind.Name] = append(w.values[in][kind.Name], "`"+strings.Trim(literal.Value, "`\"")+"`")
		}
	}
}

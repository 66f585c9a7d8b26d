package settings

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

type object = map[string]any

// choice matches the description of values that are words: "github or forgejo".
var choice = regexp.MustCompile(`^[a-z0-9-]+(, [a-z0-9-]+)* or [a-z0-9-]+$`)

// schemaOf returns the JSON Schema of a mapping. The types of values are those of the examples.
func schemaOf(path string, keys []key, below map[string][]key) object {
	properties := object{}
	schema := object{"type": "object", "additionalProperties": false, "properties": properties}
	for _, k := range keys {
		at := strings.TrimPrefix(path+"."+k.name, ".")
		value := valueSchema(at, k, below)
		if k.name == "NAME" {
			schema["additionalProperties"] = value
			delete(schema, "properties")
			continue
		}
		value["description"] = strings.ToUpper(k.expected[:1]) + k.expected[1:] + "."
		properties[k.name] = value
	}
	return schema
}

func valueSchema(at string, k key, below map[string][]key) object {
	scalar := object{"type": []string{"string", "number", "boolean"}}
	if choice.MatchString(k.expected) {
		words := regexp.MustCompile(`[a-z0-9-]+`).FindAllString(strings.Replace(k.expected, " or ", " ", 1), -1)
		if strings.Join(words, " ") == "true false" {
			return object{"type": "boolean"}
		}
		return object{"enum": words}
	}
	var example map[string]any
	_ = yaml.Unmarshal([]byte(k.example), &example)
	_, isList := example[k.name].([]any)
	inner, isMapping := below[at]
	switch {
	case isMapping && strings.HasPrefix(k.expected, "none, or "):
		return object{"anyOf": []object{{"const": "none"}, schemaOf(at, inner, below)}}
	case isMapping && (isList || strings.Contains(k.expected, "a list")):
		items := schemaOf(at, inner, below)
		if element, mixed := example[k.name].([]any); mixed && len(element) > 0 {
			if _, isText := element[0].(string); isText {
				items = object{"anyOf": []object{scalar, items}}
			}
		}
		list := object{"type": "array", "items": items}
		if strings.HasPrefix(k.expected, "a list") {
			return list
		}
		return object{"anyOf": []object{scalar, list, schemaOf(at, inner, below)}}
	case isMapping && strings.Contains(k.expected, " or a mapping"), isMapping && strings.Contains(k.expected, "or a set"):
		return object{"anyOf": []object{scalar, schemaOf(at, inner, below)}}
	case isMapping:
		return schemaOf(at, inner, below)
	case isList:
		return object{"type": "array", "items": scalar}
	}
	if _, is := example[k.name].(map[string]any); is {
		return object{"type": "object", "additionalProperties": object{"type": "array", "items": scalar}}
	}
	return scalar
}

func TestSchemaIsThatOfTheKeys(t *testing.T) {
	s := &Settings{}
	schema := schemaOf("", s.keys(""), nested(s))
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["$id"] = "https://libre.sh/schemas/settings.json"
	schema["title"] = "Settings of a catalogue, libre.yaml"
	made, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	made = append(made, '\n')
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile("settings.schema.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(made, Schema) {
		t.Error("settings.schema.json is stale: UPDATE_GOLDEN=1 go test ./internal/settings")
	}
}

// The schema accepts the example of each key, and the files that libre itself writes and shows.
// It refuses what libre refuses.
func TestSchemaTakesWhatIsRight(t *testing.T) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("settings.json", value); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("settings.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string) error {
		var document any
		if err := yaml.Unmarshal([]byte(text), &document); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return schema.Validate(document)
	}
	right := map[string]string{}
	s := &Settings{}
	for _, k := range s.keys("") {
		right["example of "+k.name] = k.example
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "settings.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```yaml\n")
	right["docs/settings.md"], _, _ = strings.Cut(block, "```")
	template, err := os.ReadFile(filepath.Join("..", "..", "nix", "template", "libre.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	right["the template"] = string(template)
	for name, text := range right {
		if err := check(text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	for _, wrong := range []string{
		"regsitry: x", "engine: dokcer", "copyTo: x", "groups: [a]", "limits: {archiv: 1}", "scan: {gate: 5, x: 1}",
		"sign: maybe", "sign: {keyles: {}}", "build: {trustUpstream: perhaps}", "licenses: {deny: AGPL}",
	} {
		if check(wrong) == nil {
			t.Errorf("it takes %s", wrong)
		}
	}
}

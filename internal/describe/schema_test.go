package describe

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
)

// makeSchema makes the schema from the types and their comments.
func makeSchema(t *testing.T) []byte {
	t.Helper()
	reflector := jsonschema.Reflector{FieldNameTag: "json", CommentMap: map[string]string{}}
	if err := reflector.AddGoComments("github.com/libresh/libre/internal/describe", "./", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	for name, comment := range reflector.CommentMap {
		reflector.CommentMap[name] = strings.Join(strings.Fields(comment), " ")
	}
	schema := reflector.Reflect(&Application{})
	schema.ID = "https://libre.sh/schemas/application-v1alpha1.json"
	schema.Title = "Application"
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func TestSchemaIsThatOfTheTypes(t *testing.T) {
	made := makeSchema(t)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile("application.schema.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(made, Schema) {
		t.Error("application.schema.json is stale: UPDATE_GOLDEN=1 go test ./internal/describe")
	}
}

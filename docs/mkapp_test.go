package docs

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// mkApp.md says what nix/schema.nix does.
func TestReferenceOfMkAppIsOfTheSchema(t *testing.T) {
	made, err := exec.Command("nix-instantiate", "--eval", "--strict", "--json", "../nix/reference.nix").Output()
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if err := json.Unmarshal(made, &text); err != nil {
		t.Fatal(err)
	}
	text = strings.TrimSpace(text) + "\n"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile("mkApp.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stands, err := os.ReadFile("mkApp.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(stands) != text {
		t.Error("docs/mkApp.md is stale: UPDATE_GOLDEN=1 go test ./docs")
	}
}

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Each message that troubleshooting.md explains is one that libre prints: its parts are
// texts in the source.
func TestMessagesInTroubleshootingStand(t *testing.T) {
	messages := regexp.MustCompile("(?m)^### `([^`]+)`$").FindAllStringSubmatch(read(t, "troubleshooting.md"), -1)
	if len(messages) < 20 {
		t.Fatalf("found %d messages, expected 20 or more", len(messages))
	}
	texts := textsOfSource(t)
	for _, message := range messages {
		for part := range strings.SplitSeq(message[1], "…") {
			if !strings.Contains(texts, part) {
				t.Errorf("%s: no text of libre has %q", message[1], part)
			}
		}
	}
}

// textsOfSource are all literal texts of the program, one a line.
func textsOfSource(t *testing.T) string {
	t.Helper()
	var texts strings.Builder
	err := filepath.WalkDir("../internal", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(tree, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil {
					texts.WriteString(text + "\n")
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts.String()
}

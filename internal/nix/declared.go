package nix

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/file"
)

// declaredInput is an input of flake.nix.
type declaredInput struct {
	Name    string   `json:"name"`    // x, and x/y for an input of x
	Places  []string `json:"places"`  // its url and path, if set
	Follows bool     `json:"follows"` // it follows another input
	Line    int      `json:"line"`
}

//go:embed declared.nix
var declaredNix string

// declaredInputs evaluates the inputs of flake.nix. The evaluation is pure, gets only the
// file's text, and can neither fetch nor write, so the result is cached by the text.
// https://nix.dev/manual/nix/latest/command-ref/new-cli/nix3-flake#flake-format
func (n *Nix) declaredInputs(ctx context.Context, dir string) ([]declaredInput, error) {
	text, err := file.ReadOwn(filepath.Join(dir, "flake.nix"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // Nix reports it
	}
	if err != nil {
		return nil, err
	}
	var declared []declaredInput
	dependsOn := declaredNix + "\n" + dir + "\n" + string(text)
	if n.recall("inputs", dependsOn, &declared) {
		return declared, nil
	}
	read := n.command(ctx, call{program: "nix-instantiate", operation: []string{"--eval"}, arguments: []string{"-"}, flags: []string{"--strict", "--json", "--readonly-mode",
		"--option", "pure-eval", "true", "--option", "restrict-eval", "true", "--option", "allowed-uris", "", "--option", "allow-import-from-derivation", "false"}})
	read.Dir = dir
	read.Stdin = strings.NewReader("(" + declaredNix + ") (" + string(text) + "\n)")
	var out, log bytes.Buffer
	read.Stdout, read.Stderr = &out, &log
	if err := read.Run(); err != nil {
		return nil, n.failure(ctx, "reading the inputs of flake.nix", err, log.String())
	}
	if json.Unmarshal(out.Bytes(), &declared) != nil {
		return nil, errors.New("reading the inputs of flake.nix: nix printed something else than a list")
	}
	for i := range declared {
		declared[i].Line = max(1, declared[i].Line-strings.Count(declaredNix, "\n"))
	}
	n.remember("inputs", dependsOn, declared)
	return declared, nil
}

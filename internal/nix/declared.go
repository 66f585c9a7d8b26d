package nix

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/private"
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
	sum := sha256.Sum256([]byte(declaredNix + "\n" + dir + "\n" + string(text)))
	cache := filepath.Join(n.OutcomeDir, "inputs-"+hex.EncodeToString(sum[:16])+".json")
	if cached, err := private.Read(cache); n.OutcomeDir != "" && err == nil && json.Unmarshal(cached, &declared) == nil {
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
	if content, err := json.Marshal(declared); n.OutcomeDir != "" && err == nil && private.Folder(n.OutcomeDir) == nil {
		_ = private.Replace(cache, content)
	}
	return declared, nil
}

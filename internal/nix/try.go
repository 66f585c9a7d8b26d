package nix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/file"
)

// TryNixpkgs fetches the input nixpkgs of a catalogue, as locked in its flake.lock, unless
// the store has it. It does not evaluate nixpkgs.
func (n *Nix) TryNixpkgs(ctx context.Context, dir string) error {
	text, err := file.ReadOwn(filepath.Join(dir, "flake.lock"))
	if err != nil {
		return err
	}
	node := ""
	var refused error
	if err := eachLocked(text, func(name, to string, locked lockedRef) bool {
		if name == nixpkgsInput {
			node = to
			if !n.AllowLocalInputs {
				refused = checkLocked(dir, string(text), name, to, locked)
			}
		}
		return false
	}); err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	var lock struct {
		Nodes map[string]struct {
			Locked   map[string]any `json:"locked"`
			Original map[string]any `json:"original"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return fmt.Errorf("reading flake.lock: %w", err)
	}
	if lock.Nodes[node].Locked == nil {
		return errors.New("flake.lock has no input nixpkgs")
	}
	try, err := os.MkdirTemp("", "libre-try-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(try)
	// The flake has the same original reference, so that Nix keeps the lock.
	alone, err := json.Marshal(map[string]any{"version": 7, "root": "root", "nodes": map[string]any{
		"root":    map[string]any{"inputs": map[string]string{"nixpkgs": "nixpkgs"}},
		"nixpkgs": map[string]any{"locked": lock.Nodes[node].Locked, "original": lock.Nodes[node].Original, "flake": false},
	}})
	if err != nil {
		return err
	}
	original := ""
	for name, value := range lock.Nodes[node].Original {
		if word, ok := value.(string); ok {
			original += fmt.Sprintf(" %s = %s;", Quote(name), Quote(word))
		}
	}
	flake := "{ inputs.nixpkgs = { flake = false;" + original + " }; outputs = { nixpkgs, ... }: { libre = builtins.attrNames (builtins.readDir nixpkgs); }; }"
	for name, content := range map[string]string{"flake.nix": flake, "flake.lock": string(alone)} {
		if err := os.WriteFile(filepath.Join(try, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	var names []string
	return n.Eval(ctx, Flake{Dir: try, Offline: true}, "libre", "names: names", &names)
}

// BuilderTrial is the result of a connection to a remote builder.
type BuilderTrial struct {
	Address  string
	Login    string // argument of ssh
	Systems  []string
	OwnStore error // why libre cannot build in the builder's own store; nil if it can
	Err      error // why this user cannot connect at all; nil if it can
}

// TryBuilders connects to the remote builders of Nix's setting "builders" that are reached by
// ssh, and builds nothing. settings are those of [Nix.Settings].
func (n *Nix) TryBuilders(ctx context.Context, settings map[string]string) (trials []BuilderTrial) {
	for _, builder := range parseBuilders(settings) {
		if builder.store == "" {
			continue
		}
		trial := BuilderTrial{Address: builder.address, Login: login(builder.address), Systems: builder.systems, OwnStore: n.connect(ctx, builder.store)}
		if trial.OwnStore != nil {
			trial.Err = n.connect(ctx, builder.hook)
		}
		trials = append(trials, trial)
	}
	return trials
}

// connect asks a remote store for a path.
func (n *Nix) connect(ctx context.Context, store string) error {
	check := storeCall("--check-validity --print-invalid", "/nix/store/"+strings.Repeat("0", 32)+"-libre")
	check.flags = []string{"--store", store}
	var remote remoteBuilds
	reason := "nix gave no reason"
	err := n.follow(ctx, check, &watcher{nix: n}, func(event LogEvent) {
		if !remote.read(event) && event.Level == LogError {
			reason = event.Text
		}
	}, batch())
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.New(firstLine(remote.reason(reason)))
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/ui"
)

// env has what all commands share: the global flags, the streams and the workspace.
type env struct {
	directory   string // -C
	packageSet  string // --package-set
	builders    string // --builders
	logFormat   string // --log-format
	profiles    profiles
	localInputs bool // --allow-local-inputs

	args    []string // as given
	options ui.Options
	running bool // the command line is understood
	*ui.UI
	shownTails sync.Map // last lines of builds, printed as they failed

	// workspace finds the catalogue and reads its settings, once. It starts no program.
	workspace func() (*workspace, error)
}

func newEnv(options ui.Options) *env {
	e := &env{options: options, UI: ui.New(options)}
	e.workspace = sync.OnceValues(e.findWorkspace)
	return e
}

// warn prints a warning.
func (e *env) warn(text string) { e.Warnf("%s", text) }

// selected returns the workspace and the selection of a command. all selects everything. If
// nothing is selected, the error lists what can be selected.
func (e *env) selected(ctx context.Context, command string, words []string, all bool) (*workspace, []catalog.Pattern, error) {
	ws, err := e.workspace()
	if err != nil {
		return nil, nil, err
	}
	if all && len(words) > 0 {
		return nil, nil, usageError{fmt.Errorf("--all and the selection %s: give one of them", words[0])}
	}
	if all {
		return ws, catalog.All, nil
	}
	patterns, err := catalog.ParseSelection(words, ws.settings.Groups)
	if errors.Is(err, catalog.ErrNothingSelected) {
		return nil, nil, nothingSelected(ctx, ws, command)
	}
	if err != nil {
		return nil, nil, usageError{err}
	}
	return ws, patterns, nil
}

// nothingSelected returns an error that lists what a command can select. show, sbom, diff,
// render and run have no --all.
func nothingSelected(ctx context.Context, ws *workspace, command string) error {
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: catalog.All})
	if err != nil {
		return err
	}
	names := strings.Join(evaluation.Names, " ")
	if slices.Contains([]string{"show", "sbom", "diff", "render", "run"}, command) {
		return usageError{fmt.Errorf("nothing selected: libre %s with one of: %s", command, names)}
	}
	return usageError{fmt.Errorf("nothing selected: libre %s --all, or some of: %s", command, names)}
}

// warnLeftOut looks for files that look like apps and that nix does not see, while nix
// evaluates. The returned function waits for the result, and prints warnings.
func (e *env) warnLeftOut(ctx context.Context, ws *workspace) func() {
	found := make(chan []string, 1)
	go func() { found <- nix.IgnoredFiles(ctx, ws.dir) }()
	return func() {
		for _, line := range <-found {
			e.Warnf("%s", line)
		}
	}
}

// useSafeTemporary sets TMPDIR to a folder in the cache if other users can replace files in
// the present one.
func (e *env) useSafeTemporary() error {
	err := private.CheckTrusted(os.TempDir())
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	cache, missing := cacheDir()
	if missing != nil {
		return missing
	}
	own := filepath.Join(cache, "tmp")
	if err := private.Folder(own); err != nil {
		return err
	}
	e.Warnf("TMPDIR: %v: %s is used instead", err, own)
	return os.Setenv("TMPDIR", own)
}

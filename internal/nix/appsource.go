package nix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/libresh/libre/internal/catalog"
)

// AppSource is the changed source of an app.
type AppSource struct {
	catalog.Derivation
	Identity string `json:"identity"` // hash over all that its content depends on, in hexadecimal
}

// AppSource returns the source of an app, or of one of its variants ("" for the app itself),
// with the first changes of its list of changes.
func (c *Catalogue) AppSource(ctx context.Context, app, variant string, changes int) (AppSource, error) {
	system, err := MachineSystem()
	if err != nil {
		return AppSource{}, err
	}
	request := Request{Patterns: []catalog.Pattern{{App: app, Component: "*", Variant: "*"}}, Systems: []string{system}}
	apply := fmt.Sprintf("libre: libre.sourceOf { system = %s; app = %s; variant = %s; changes = %d; }", Quote(system), Quote(app), Quote(variant), changes)
	source, err := c.appSource(ctx, request, apply)
	if err == nil {
		return source, nil
	}
	with, _, done, mirrorErr := c.mirrored(ctx, request, err)
	defer done()
	switch {
	case mirrorErr != nil:
		return source, mirrorErr
	case with == nil:
		return source, err
	}
	return with.appSource(ctx, request, apply)
}

func (c *Catalogue) appSource(ctx context.Context, request Request, apply string) (source AppSource, err error) {
	flake, err := c.flakeFor(ctx, request)
	if err != nil {
		return source, err
	}
	return source, c.hintUntracked(c.nix.Eval(ctx, flake, "libre", apply, &source))
}

// WithOutput realises an output, and calls use while it is held in the store.
func (n *Nix) WithOutput(ctx context.Context, output catalog.Derivation, on func(LogEvent), use func(path string) error) error {
	roots, err := os.MkdirTemp("", "libre-roots-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(roots)
	if output.Drv != nil {
		failures, err := n.Realise(ctx, []Output{{*output.Drv, output.Out}}, roots, on)
		if err != nil {
			return err
		}
		for _, failure := range failures {
			return failure
		}
	}
	return use(output.Out)
}

// IsWrongHash reports whether an error says that fetched content has another hash than the
// definition names. An evaluation or a build may have fetched it.
func IsWrongHash(err error) bool {
	var failure *BuildFailure
	return errors.As(err, &failure) && failure.Got != "" || err != nil && strings.Contains(err.Error(), "NAR hash mismatch in input")
}

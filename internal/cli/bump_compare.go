package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/bump/propose"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
)

// compare sets what a pull request says about the effect of an update: with --build by the
// images, compared with the newest published release; else by what the definitions say. An
// update that does not build is proposed too, with a warning: a reviewer can tell why.
func (w *bumpWriter) compare(ctx context.Context, result *bump.Result) error {
	comparison, err := compareDefinitions(result)
	if err != nil {
		return err
	}
	if w.options.build {
		built, err := w.compareBuilt(ctx, result)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			result.Warnings = append(result.Warnings, fmt.Sprintf("the images are not compared with a published release: %s", err))
		default:
			comparison = built
		}
	}
	if !comparison.IsPlain() {
		result.Comparison = comparison.Markdown(ui.Size, propose.MaxComparison)
	}
	return nil
}

func compareDefinitions(result *bump.Result) (*compare.Comparison, error) {
	was, err := state.Described(result.Was, "default")
	if err != nil {
		return nil, err
	}
	is, err := state.Described(result.Is, "default")
	return compare.Compare(was, is), err
}

// compareBuilt builds the edited copy of the catalogue into a folder that it removes.
func (w *bumpWriter) compareBuilt(ctx context.Context, result *bump.Result) (*compare.Comparison, error) {
	output, err := os.MkdirTemp("", "libre-layout-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(output)
	edited := &workspace{dir: result.Copy, settings: w.ws.settings, packageSet: w.ws.packageSet, cacheDir: w.ws.cacheDir, nix: w.ws.nix, warn: w.ws.warn}
	d := &differ{
		env: w.env, ws: edited, options: diffOptions{words: []string{result.App}, output: output},
		contents: func(ctx context.Context, ws *workspace, output string, request nix.Request) ([]build.Described, error) {
			return w.env.contentsWatched(ctx, ws, output, request, w.progress)
		},
	}
	if d.system, err = nix.MachineSystem(); err != nil {
		return nil, err
	}
	from, to, err := d.ofCatalogue(ctx, []catalog.Pattern{{App: result.App, Component: "*", Variant: "default"}}, []string{""})
	if err != nil {
		return nil, err
	}
	if err := d.scan(ctx, from, to); err != nil {
		return nil, err
	}
	return compare.Compare(&from.Release, &to.Release), nil
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/bump/propose"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/ui"
)

// bumpWriter writes the edits of a run into the catalogue, into commits or into pull
// requests.
type bumpWriter struct {
	env        *env
	dir        string
	options    bumpOptions
	bumper     *bump.Bumper
	repository *propose.Repository // for --commit and --pr
	proposer   *propose.Proposer   // for --pr
	grouped    []*bump.Result

	ws       *workspace
	progress *ui.Progress
}

// bumpWriter finds the repository and the forge, before versions are looked up.
func (e *env) bumpWriter(ctx context.Context, ws *workspace, o bumpOptions, bumper *bump.Bumper, progress *ui.Progress) (*bumpWriter, error) {
	w := &bumpWriter{env: e, dir: ws.dir, options: o, bumper: bumper, ws: ws, progress: progress}
	if !o.commit && !o.pr {
		return w, nil
	}
	var err error
	if w.repository, err = propose.OpenRepository(ctx, ws.dir); err != nil || !o.pr {
		return w, err
	}
	w.proposer, err = propose.NewProposer(ctx, w.repository, propose.ProposerConfig{
		Client: bumper.Upstream, Token: bumper.Upstream.Token, Forge: ws.settings.Forge, Getenv: os.Getenv,
	})
	return w, err
}

// result writes the edit of one app. keep tells whether later apps are edited on top of it.
func (w *bumpWriter) result(ctx context.Context, result *bump.Result) (keep bool, err error) {
	switch {
	case w.options.dryRun:
		return false, nil
	case w.options.pr:
		if err := w.compare(ctx, result); err != nil {
			return false, err
		}
	}
	if w.options.group != "" {
		w.grouped = append(w.grouped, result)
		return true, nil
	}
	name := result.App
	if w.options.pr {
		name = result.ProposalName()
	}
	proposal, err := w.proposal(ctx, name, []*bump.Result{result})
	if err != nil {
		return false, err
	}
	return !w.options.pr, w.write(ctx, proposal, result.Before, result.After)
}

// proposal is the text of a commit or pull request; nil if none is made.
func (w *bumpWriter) proposal(ctx context.Context, name string, results []*bump.Result) (*propose.Proposal, error) {
	if w.repository == nil {
		return nil, nil
	}
	return w.bumper.Propose(ctx, name, results)
}

// write writes changed files.
func (w *bumpWriter) write(ctx context.Context, proposal *propose.Proposal, before, after map[string][]byte) error {
	if w.options.pr {
		outcome, err := w.proposer.Propose(ctx, proposal)
		if err == nil {
			w.env.Notef("%s", outcome)
		}
		return err
	}
	install := func() error { return bump.Install(w.dir, before, after) }
	restore := func() error { return bump.Restore(w.dir, slices.Sorted(maps.Keys(after)), before) }
	if w.repository == nil {
		err := install()
		if err == nil {
			if err = w.track(ctx, before, after); err != nil {
				err = errors.Join(err, restore())
			}
		}
		return err
	}
	commit, err := w.repository.Commit(ctx, proposal, propose.Files{Install: install, Restore: restore})
	if err == nil {
		w.env.Notef("%.12s %s", commit, proposal.Title)
	}
	return err
}

// track shows new files to git, since nix sees in a repository only what git tracks.
func (w *bumpWriter) track(ctx context.Context, before, after map[string][]byte) error {
	arguments := []string{"add", "--intent-to-add", "--"}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] == nil {
			arguments = append(arguments, ":(literal)"+name)
		}
	}
	if len(arguments) == 3 {
		return nil
	}
	_, err := git.Command{Dir: w.dir}.Run(ctx, arguments...)
	if errors.Is(err, git.ErrNoRepository) || errors.Is(err, git.ErrMissing) {
		return nil
	}
	return err
}

// checkCommitted is an error if files have an edit of a former run that is not committed,
// so that a run with --commit does not count it as done.
func (w *bumpWriter) checkCommitted(files []string) error {
	if w.repository == nil || len(files) == 0 {
		return nil
	}
	names := strings.Join(files, " ")
	return &fault.Fault{Err: fmt.Errorf("%s has an uncommitted update", names),
		Fix: "git commit " + names + ", or git restore " + names + " and run the same command again"}
}

// finish opens the pull request of a group, and closes pull requests that are done.
func (w *bumpWriter) finish(ctx context.Context, results []*bump.Result) error {
	for _, result := range results {
		if result.Err == nil && !result.Outdated() {
			result.Err = w.checkCommitted(result.Uncommitted)
		}
	}
	if w.proposer == nil {
		return nil
	}
	if len(w.grouped) > 0 {
		proposal, err := w.proposal(ctx, strings.TrimPrefix(w.options.group, "@"), w.grouped)
		if err == nil {
			err = w.write(ctx, proposal, nil, nil)
		}
		if err != nil {
			return err
		}
	}
	return w.closeDone(ctx, bump.Settled(results))
}

// closeDone closes pull requests for which nothing is left to do.
func (w *bumpWriter) closeDone(ctx context.Context, settled map[string]string) error {
	if w.proposer == nil {
		return nil
	}
	closed, err := w.proposer.Withdraw(ctx, settled)
	for _, outcome := range closed {
		w.env.Notef("%s", outcome)
	}
	return err
}

// bumpInputs updates flake inputs and base images.
func (e *env) bumpInputs(ctx context.Context, o bumpOptions, bumper *bump.Bumper, write *bumpWriter, progress *ui.Progress) error {
	if len(o.selection) > 0 || o.all {
		return usageError{errors.New("--inputs updates the whole catalogue: give no apps, or name inputs with --input")}
	}
	if o.group != "" {
		return usageError{errors.New("--group is for apps: inputs get a pull request of their own")}
	}
	inputs, err := bumper.UpdateInputs(ctx, o.input)
	progress.Close()
	if err != nil {
		return err
	}
	for _, note := range inputs.Notes {
		e.Notef("%s", note)
	}
	for _, edit := range inputs.Changed {
		e.Notef("%s: %s → %s", edit.Attribute, edit.Old, edit.New)
	}
	if o.dryRun {
		return e.Printf("%s", propose.Diff(inputs.Before, inputs.After))
	}
	if len(inputs.After) > 0 {
		err = write.write(ctx, inputs.Proposal(), inputs.Before, inputs.After)
	} else {
		if err := write.checkCommitted(inputs.Uncommitted); err != nil {
			return err
		}
		if inputs.Behind > 0 {
			e.Warnf("%s of base images must be updated by hand; everything else is up to date", ui.Count(inputs.Behind, "pin"))
		} else {
			e.Notef("all inputs are up to date")
		}
		err = write.closeDone(ctx, map[string]string{bump.InputsName: "all there is"})
	}
	if err = errors.Join(err, e.printBumped(o, inputs.Apps)); err != nil || !o.build || o.pr {
		return err
	}
	return e.buildBumped(ctx, inputs.Apps)
}

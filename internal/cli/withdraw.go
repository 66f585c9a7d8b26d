package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/withdrawn"
)

type withdrawOptions struct {
	app, tag string
	reason   string
	undo     bool
	json     bool
	registry registryOptions
}

func (e *env) withdrawCommand() *cobra.Command {
	var o withdrawOptions
	cmd := &cobra.Command{
		Use:   "withdraw APP VERSION --reason TEXT | APP VERSION --undo",
		Short: "Withdraw a release that nobody should use any more",
		Long: `Write a release into withdrawn.yaml, next to flake.nix: the app, the version,
the reason and the date. What is in the file stays as it is. A withdrawal is for
all variants of the app.

Nothing else changes before the next push. push then signs a statement of all
withdrawn releases and attaches it to them. verify, list, status, site and
render honour it: they say who withdrew the release, when and why, and which one
to use instead. Moving tags such as latest go to the newest release that is not
withdrawn. Images and other tags stay, so whoever runs them can go on.

--undo removes the entry, and so does editing the file: the next push takes the
withdrawal back.

If the registry is known, the release must be published there. The output is the
name of the file.`,
		Example: "  libre withdraw docs 5.4.0-1 --reason 'Loses messages if two people edit at once.'\n  libre withdraw docs 5.4.0-1 --undo",
		Args:    takes(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app, o.tag = args[0], args[1]
			o.reason = strings.TrimSpace(o.reason)
			switch isGiven := cmd.Flags().Changed("reason"); {
			case o.undo && isGiven:
				return usageError{errors.New("--reason and --undo: give one of them")}
			case !o.undo && !isGiven:
				return usageError{errors.New("a withdrawal needs --reason: what is wrong with the release, in one line")}
			}
			return e.runWithdraw(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeOne(1),
	}
	o.registry.addFlags(cmd)
	cmd.Flags().StringVar(&o.reason, "reason", "", "what is wrong with the release: a `TEXT` of one line, which everybody can read")
	cmd.Flags().BoolVar(&o.undo, "undo", false, "take the withdrawal back")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func (e *env) runWithdraw(ctx context.Context, o withdrawOptions) error {
	for _, err := range []error{withdrawn.CheckApp(o.app), withdrawn.CheckTag(o.tag)} {
		if err != nil {
			return usageError{err}
		}
	}
	ws, err := e.workspace()
	if err != nil {
		return err
	}
	if o.undo {
		err = withdrawn.Remove(ws.dir, o.app, o.tag)
	} else {
		err = e.withdraw(ctx, ws, o)
	}
	if err != nil {
		return err
	}
	e.Notef("commit it, then publish it with: libre push %s", o.app)
	if o.json {
		return e.JSON(withdrawJSON{o.app, o.tag, !o.undo, withdrawn.File})
	}
	return e.Printf("%s\n", withdrawn.File)
}

// withdrawJSON is the result of `withdraw --json`.
type withdrawJSON struct {
	App       string `json:"app"`
	Tag       string `json:"tag"`       // of the release
	Withdrawn bool   `json:"withdrawn"` // false after --undo
	File      string `json:"file"`      // in the catalogue, which has the entry
}

func (e *env) withdraw(ctx context.Context, ws *workspace, o withdrawOptions) error {
	if err := withdrawn.CheckReason(o.reason); err != nil {
		return usageError{fmt.Errorf("--reason: %w", err)}
	}
	patterns := []catalog.Pattern{{App: o.app, Component: "*", Variant: "*"}}
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: patterns})
	if err != nil {
		return err
	}
	if failure := evaluation.Failures[o.app]; failure != nil {
		e.Warnf("cannot tell whether %s %s is published: %s", o.app, o.tag, failure)
	} else if _, err := catalog.SelectImages(patterns, evaluation.Apps); err != nil {
		return err
	} else if err := e.checkPublished(ctx, ws, o, evaluation.Apps[o.app]); err != nil {
		return err
	}
	return withdrawn.Add(ws.dir, withdrawn.Release{App: o.app, Tag: o.tag, Reason: o.reason, Date: time.Now().UTC().Truncate(24 * time.Hour)})
}

// checkPublished returns an error if the registry has no such release. A registry that does
// not answer is a warning: a withdrawal must not wait for it.
func (e *env) checkPublished(ctx context.Context, ws *workspace, o withdrawOptions, app catalog.App) error {
	if ws.settings.Registry == "" && len(o.registry.to) == 0 {
		return nil
	}
	client, err := ws.registry(o.registry)
	if err != nil {
		return err
	}
	var published []string
	for _, variant := range app.Variants {
		is, tags, err := lookForRelease(ctx, client, catalog.Ref{Repository: app.RecordRef(variant).Repository, Tag: o.tag})
		if err != nil {
			e.Warnf("cannot tell whether %s %s is published: %s", o.app, o.tag, err)
		}
		if is || err != nil {
			return nil
		}
		published = append(published, tags...)
	}
	wrong := fmt.Errorf("%s %s is not published in %s", o.app, o.tag, client)
	if published = slices.Compact(state.ReleaseTags(published)); len(published) == 0 {
		return &fault.Fault{Err: wrong, Fix: "withdraw a release that is: it has none of " + o.app}
	}
	return &fault.Fault{Err: wrong, Fix: "withdraw one that is: " + text.Enumerate(published, ", ", mostSuggested)}
}

// lookForRelease reports whether a release is published. If it is not, tags has all tags of its
// repository.
func lookForRelease(ctx context.Context, client *registry.Client, ref catalog.Ref) (is bool, tags []string, err error) {
	tag, err := client.Tag(ref)
	if err != nil {
		return false, nil, err
	}
	if _, err = client.Head(ctx, tag); !errors.Is(err, registry.ErrNotFound) {
		return err == nil, nil, err
	}
	tags, err = client.Tags(ctx, ref.Repository)
	return false, tags, err
}

// mostSuggested is how many releases an error names.
const mostSuggested = 10

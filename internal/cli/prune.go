package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/prune"
	"github.com/libresh/libre/internal/ui"
	"github.com/libresh/libre/internal/withdrawn"
)

type pruneOptions struct {
	selection []string
	all       bool
	registry  registryOptions
	keep      int
	newerThan age
	plan      string // the file to write
	yes       string // the plan to carry out
	json      bool
}

func (e *env) pruneCommand() *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune SELECTION... | --all | --yes PLAN",
		Short: "Delete old releases from a registry, by a plan",
		Long: `Find the releases of the selected apps that can be deleted from the registry,
and write a plan of their digests. Nothing is deleted. Read the plan, then carry
it out with --yes PLAN within a day.

A release is deleted as a whole: its record, its images and what is attached to
them. --keep and --keep-newer-than say which releases of each app and variant to
keep. These are always kept:

  - what the catalogue defines now
  - what is withdrawn, by withdrawn.yaml or a signed statement in the registry
  - what another release, an index, or any other tag, such as latest, names
  - bases of images that stay, and bases that definitions name by digest
  - what was signed within the last 7 days, or at an unknown time

If a tag, a record or a manifest of the catalogue cannot be read, prune stops.
--yes reads all of it again, deletes what is in the plan, and nothing else. If
something in the plan must be kept by now, it deletes nothing. After an
interruption, run it again.

The registry must allow deletion. It frees the space when it collects its
garbage.

The output has one line per release: record, what becomes of it (goes, stays or
deleted), size, reason.`,
		Example: "  libre prune --all --keep 5 --keep-newer-than 90d\n  libre prune --yes prune.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runPrune(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "select all apps")
	o.registry.addFlags(cmd)
	flags.Lookup("key").Usage = "the public key in `FILE` that verifies withdrawals (default: sign in libre.yaml)"
	flags.Var(number{&o.keep, 1, unlimited}, "keep", "keep the `N` newest versions of each app and variant, at least 1")
	flags.Var(&o.newerThan, "keep-newer-than", "keep what was signed within `TIME`, such as 90d")
	flags.StringVar(&o.plan, "plan", "prune.json", "write the plan to `FILE`")
	flags.StringVar(&o.yes, "yes", "", "delete what is in the `PLAN`")
	flags.BoolVar(&o.json, "json", false, "print the plan as JSON; with --yes, what was deleted of it")
	cmd.MarkFlagsMutuallyExclusive("yes", "keep")
	cmd.MarkFlagsMutuallyExclusive("yes", "keep-newer-than")
	cmd.MarkFlagsMutuallyExclusive("yes", "plan")
	cmd.MarkFlagsMutuallyExclusive("yes", "all")
	return cmd
}

func (e *env) runPrune(ctx context.Context, o pruneOptions) error {
	switch {
	case o.yes != "" && len(o.selection) > 0:
		return usageError{errors.New("--yes deletes what its plan has: leave out the selection")}
	case o.yes != "":
		return e.carryOut(ctx, o)
	case o.keep == 0 && o.newerThan == 0:
		return usageError{errors.New("say what stays: --keep N, --keep-newer-than TIME, or both")}
	}
	ws, patterns, err := e.selected(ctx, "prune", o.selection, o.all)
	if err != nil {
		return err
	}
	pruner, err := ws.pruner(ctx, o.registry, patterns)
	if err != nil {
		return err
	}
	plan, err := pruner.Plan(ctx, prune.Rule{Keep: max(o.keep, 1), NewerThan: time.Duration(o.newerThan)})
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(plan, "", "  ")
	if err == nil {
		err = atomicfile.Write(o.plan, append(content, '\n'), 0o666)
	}
	if err != nil {
		return err
	}
	if o.json {
		err = e.JSON(plan)
	} else {
		err = e.Table(planOfPrune(plan))
	}
	if err != nil {
		return err
	}
	e.Notef("%s can go, %d more must stay though the rule does not keep them", ui.Count(len(plan.Releases), "release"), len(plan.Kept))
	if len(plan.Releases) > 0 {
		e.Notef("nothing is deleted yet: read %s, then run libre prune --yes %s", o.plan, o.plan)
	}
	return nil
}

// pruner looks at one registry for the whole catalogue, which must be readable as a whole.
func (ws *workspace) pruner(ctx context.Context, o registryOptions, patterns []catalog.Pattern) (*prune.Pruner, error) {
	if len(o.to) > 1 {
		return nil, usageError{errors.New("prune looks at one registry at a time: give --to once")}
	}
	clients, err := ws.registries(o)
	if err != nil {
		return nil, err
	}
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: catalog.All})
	if err != nil {
		return nil, err
	}
	for app, failure := range evaluation.Failures {
		return nil, fmt.Errorf("nothing can be deleted while %s cannot be evaluated: %w", app, failure)
	}
	if _, err := catalog.Select(patterns, slices.Sorted(maps.Keys(evaluation.Apps))); err != nil {
		return nil, err
	}
	if _, err := catalog.SelectImages(patterns, evaluation.Apps); err != nil {
		return nil, err
	}
	signing, err := ws.verifying(ctx, o, clients[0])
	if err != nil {
		return nil, err
	}
	list, err := withdrawn.Load(ws.dir)
	isWithdrawn := func(app, tag string) bool { return list.Find(app, tag) != nil }
	return &prune.Pruner{Registry: clients[0], Apps: evaluation.Apps, Patterns: patterns, Now: time.Now(), Withdrawn: isWithdrawn, Signing: signing}, err
}

func planOfPrune(plan *prune.Plan) ui.Table {
	table := releaseTable("goes", plan.Releases)
	for _, kept := range plan.Kept {
		table.Rows = append(table.Rows, []string{kept.Record.String(), "stays", "", kept.Reason})
	}
	return table
}

func releaseTable(state string, releases []prune.Release) ui.Table {
	table := ui.Table{Header: []string{"RELEASE", "STATE", "SIZE", "REASON"}, Sentences: []int{3}}
	for _, release := range releases {
		table.Rows = append(table.Rows, []string{release.Record.String(), state, ui.Size(release.Size()), release.Reason})
	}
	return table
}

// carryOut deletes what is in a plan.
func (e *env) carryOut(ctx context.Context, o pruneOptions) error {
	ws, err := e.workspace()
	if err != nil {
		return err
	}
	pruner, err := ws.pruner(ctx, o.registry, catalog.All)
	if err != nil {
		return err
	}
	content, err := file.Read(o.yes)
	if err != nil {
		return err
	}
	plan, err := pruner.Read(content)
	if err != nil {
		return fmt.Errorf("reading the plan %s: %w", o.yes, err)
	}
	deleted := *plan
	deleted.Releases = []prune.Release{}
	err = pruner.Delete(ctx, plan, func(release prune.Release) { deleted.Releases = append(deleted.Releases, release) })
	if o.json {
		err = errors.Join(e.JSON(deleted), err)
	} else {
		err = errors.Join(e.Table(releaseTable("deleted", deleted.Releases)), err)
	}
	if len(plan.Releases) == 0 {
		e.Notef("nothing is deleted: %s has no releases", o.yes)
	}
	if len(deleted.Releases) > 0 {
		e.Notef("%s deleted; the registry frees the bytes when it collects its garbage", ui.Count(len(deleted.Releases), "release"))
	}
	return err
}

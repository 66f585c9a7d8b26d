package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
)

type planOptions struct {
	images   imageOptions
	registry registryOptions
	trusting bool
	json     bool
	matrix   int // most jobs; 0 for none
}

const planLong = `Show what build or push would do with each selected image, and why.

Without a registry, plan shows what build would do: build or nothing. With a
registry (--to, or registry in libre.yaml), it shows what push would do, for
all systems of the catalogue:

  build    the image is new, or its image key changed
  push     the image is built but not published
  sign     the image is published but not signed by this catalogue
  attach   the image is published, but its signature, an SBOM or the provenance
           is missing
  tag      a tag is missing, or a tag of alsoTag points to an older release
  refuse   the image, or a base of it, is published under the same tag with
           another image key: raise the package version
  moved    a tag of the release was moved to something else, which may be an
           attack: the reason has both digests, and the command that puts the
           tag back
  unknown  a registry refuses access, cannot be reached, or sends an invalid
           answer
  nothing  the image is published
  fail     the image cannot be built: its definition is wrong

plan needs no network for the key of a Containerfile image. If nixpkgs cannot
be reached, the key of a Nix image is unknown.

plan also reports errors in a definition, even if the image would be built
without the wrong part.

Exit code 1 if a definition is wrong, or if something was moved or is unknown,
4 if a registry refuses access.

The output has one line per image: image, action, reason, key.

--matrix prints the matrix of a GitHub or Forgejo workflow, on one line:

  {"include":[{"name":"1 of 2","selection":"docs/*/default","images":3}]}

Each job runs libre push with its selection. Only what needs work is in a job.
There are at most 256 jobs, or N with --matrix=N, balanced by the time that the
images took in former runs here. An image that this machine does not remember
counts by the size of what is published of it. Images that are built on each
other are in one job, which builds them in order.`

func (e *env) planCommand() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:     "plan SELECTION... | --all",
		Short:   "Show what build or push would do, and why",
		Long:    planLong,
		Example: "  libre plan --all\n  libre plan docs --to registry.example/lasuite --json\n  libre plan --all --matrix=8",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.images.selection = args
			return e.runPlan(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.images.addFlags(cmd)
	o.registry.addFlags(cmd)
	addTrustFlag(cmd.Flags(), &o.trusting)
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	cmd.Flags().Var(number{&o.matrix, 1, unlimited}, "matrix", "print a matrix of at most `N` CI jobs for what needs work")
	cmd.Flags().Lookup("matrix").NoOptDefVal = strconv.Itoa(release.MostJobs)
	cmd.MarkFlagsMutuallyExclusive("json", "matrix")
	return cmd
}

func (e *env) runPlan(ctx context.Context, o planOptions) error {
	ws, request, err := e.request(ctx, "plan", o.images)
	if err != nil {
		return err
	}
	plans, evaluation, err := e.plans(ctx, ws, o, request)
	if err != nil {
		return err
	}
	defects, err := state.Defects(ctx, ws.nix, evaluation.Images)
	if err != nil {
		return err
	}
	defects = state.MarkDefects(plans, defects)
	if err := e.printPlans(ctx, ws, o, plans, evaluation); err != nil {
		return err
	}
	if err := e.reportWrong(evaluation.Failures, defects); err != nil {
		return err
	}
	return planError(plans)
}

func (e *env) printPlans(ctx context.Context, ws *workspace, o planOptions, plans []state.Plan, evaluation *nix.Evaluation) error {
	switch {
	case o.matrix > 0:
		return e.printMatrix(ctx, ws, o, plans, evaluation.Images)
	case o.json:
		registry := ws.settings.Registry
		if len(o.registry.to) > 0 {
			registry = o.registry.to[0]
		}
		return e.JSON(plansJSON(registry, plans))
	}
	return e.Table(planTable(plans))
}

// plans returns what push would do if there is a registry, else what build would do.
func (e *env) plans(ctx context.Context, ws *workspace, o planOptions, request nix.Request) ([]state.Plan, *nix.Evaluation, error) {
	defer e.warnLeftOut(ctx, ws)()
	if len(o.registry.to) == 0 && ws.settings.Registry == "" {
		reader, err := e.layoutReader(ctx, ws, o.images.output)
		if err != nil {
			return nil, nil, err
		}
		return reader.PlanBuild(ctx, request)
	}
	reader, err := e.comparer(ctx, ws, o.registry, o.images.output)
	if err != nil {
		return nil, nil, err
	}
	reader.Signing, err = ws.verifying(ctx, o.registry, reader.Registry)
	if errors.As(err, new(usageError)) {
		e.Warnf("signatures are not verified: %s", err)
	} else if err != nil {
		return nil, nil, err
	}
	reader.Trusting = o.trusting
	defer e.noteTrusted(o.trusting)
	return reader.PlanPush(ctx, request)
}

const trustFlag = "trust-records"

func addTrustFlag(flags *pflag.FlagSet, trusting *bool) {
	flags.BoolVar(trusting, trustFlag, false, "do not look whether published images still have their attachments: one request for an image, not three")
}

// noteTrusted says what a command does not know.
func (e *env) noteTrusted(trusting bool) {
	if trusting {
		e.Notef("the attachments of published images were not looked at (--%s)", trustFlag)
	}
}

// planError returns the error that decides the exit code of a plan. Refused credentials
// come first.
func planError(plans []state.Plan) error {
	var unknown, moved []error
	for _, p := range plans {
		switch p.Action {
		case state.ToUnknown:
			unknown = append(unknown, p.Err)
		case state.ToPutBack:
			moved = append(moved, p.Err)
		}
	}
	return stateError("images", len(plans), unknown, moved)
}

// stateError sums up what is unknown and what was moved, which is already printed. Refused
// credentials decide the exit code.
func stateError(what string, of int, unknown, moved []error) error {
	if err := credentialsError(unknown); err != nil {
		return err
	}
	switch {
	case len(moved) > 0:
		return fmt.Errorf("tags of %d of %d %s were moved, which may be an attack", len(moved), of, what)
	case len(unknown) > 0:
		return fmt.Errorf("the state of %d of %d %s is unknown: %w", len(unknown), of, what, unknown[0])
	}
	return nil
}

// credentialsError returns the first error of kind Credentials, or nil if there is none.
func credentialsError(all []error) error {
	for _, err := range all {
		if fault.Is(err, fault.Credentials) {
			return err
		}
	}
	return nil
}

func planTable(plans []state.Plan) ui.Table {
	table := ui.Table{Header: []string{"IMAGE", "ACTION", "REASON", "KEY"}, Sentences: []int{2}}
	for _, p := range plans {
		key := p.Key
		if len(key) > 19 {
			key = key[:19]
		}
		table.Rows = append(table.Rows, []string{p.ID.String(), string(p.Action), p.Reason, key})
	}
	return table
}

// planJSON is one image of `plan --json`.
type planJSON struct {
	Image     string `json:"image"` // app/component/variant
	Reference string `json:"reference"`
	Action    string `json:"action"` // build, push, sign, attach, tag, refuse, moved, unknown, nothing or fail
	Reason    string `json:"reason"`
	Key       string `json:"key,omitempty"` // absent if it is unknown

	Moved []movedJSON `json:"moved,omitempty"` // tags of its release
	Lacks []lacksJSON `json:"lacks,omitempty"` // missing attachments
}

// lacksJSON are the missing attachments of an image, of its manifest for one platform, or
// of a record.
type lacksJSON struct {
	Reference string   `json:"reference"` // by its tag
	Digest    string   `json:"digest"`
	Platform  string   `json:"platform,omitempty"`
	Kinds     []string `json:"kinds"` // signature, sbom cyclonedx, sbom spdx, provenance
}

func allLacks(lacks []state.Lacking) []lacksJSON {
	var list []lacksJSON
	for _, l := range lacks {
		list = append(list, lacksJSON{l.Reference, l.Digest.DigestStr(), l.Platform, l.Kinds})
	}
	return list
}

// movedJSON is a tag that was moved.
type movedJSON struct {
	Reference string `json:"reference"`
	Shows     string `json:"shows"`            // the digest that the tag points to
	Signed    string `json:"signed,omitempty"` // the digest that the tag should point to; absent if it is unknown
	Named     string `json:"named,omitempty"`  // the name:tag that the other digest is signed as; absent if it is the same
}

func allMoved(moved []*state.MovedError) []movedJSON {
	var list []movedJSON
	for _, m := range moved {
		list = append(list, movedJSON{m.Reference, m.Shows, m.Signed, m.Named.String()})
	}
	return list
}

func plansJSON(registry string, plans []state.Plan) []planJSON {
	list := []planJSON{}
	for _, p := range plans {
		list = append(list, planJSON{p.ID.String(), reference(registry, p.Ref), string(p.Action), p.Reason, p.Key, allMoved(p.Moved), allLacks(p.Lacks)})
	}
	return list
}

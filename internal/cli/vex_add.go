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
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/vex"
)

type vexAddOptions struct {
	selection, vulnerability string
	aliases                  []string
	status, justification    string
	action, notes            string
	purl, versions, expires  string
	json                     bool
}

func (e *env) vexAddCommand() *cobra.Command {
	var o vexAddOptions
	cmd := &cobra.Command{
		Use:   "add SELECTION VULNERABILITY --status STATUS",
		Short: "Write a statement about a vulnerability",
		Long: `Write a statement about a vulnerability at the end of apps/APP/vex.yaml. What is
in the file stays as it is. The next push attaches the new documents to what is
published; no package version is raised.

The selection limits the statement: docs means all images of the app,
docs/backend about one component, and 'docs/*/lyon' about one variant.

The status is one of:
  not_affected         needs --justification
  affected             needs --action: what users should do
  under_investigation
  fixed                patches that have fixes in the definition need no statement

The justification is one of ` + strings.Join(vex.Justifications[:2], ", ") + `,
` + strings.Join(vex.Justifications[2:4], ",\n") + `,
` + vex.Justifications[4] + `.`,
		Example: "  libre vex add docs CVE-2026-1234 --status not_affected --justification vulnerable_code_not_in_execute_path\n  libre vex add docs/backend CVE-2026-1234 --status affected --action 'Update to 5.4.2.' --package pkg:golang/golang.org/x/net",
		Args:    takes(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection, o.vulnerability = args[0], args[1]
			return e.runVEXAdd(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.status, "status", "", "what the vulnerability means for the images: not_affected, affected, under_investigation or fixed")
	flags.StringVar(&o.justification, "justification", "", "why they are not affected, as a `WORD` of the standard")
	flags.StringVar(&o.action, "action", "", "what users of affected images should do")
	flags.StringVar(&o.notes, "notes", "", "a `TEXT` that explains the statement")
	flags.StringVar(&o.purl, "package", "", "limit it to the component with this package `URL`, as libre sbom lists it; without a version it stands for all")
	flags.StringVar(&o.versions, "versions", "", "limit it to a `RANGE` of the app's versions, such as '>=5.4.0, <5.4.2'")
	flags.StringVar(&o.expires, "expires", "", "the last `DAY` on which it is valid, such as 2027-05-31")
	flags.StringSliceVar(&o.aliases, "alias", nil, "another `ID` of the same vulnerability, such as its GHSA")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func (e *env) runVEXAdd(ctx context.Context, o vexAddOptions) error {
	if err := vex.CheckID(o.vulnerability); err != nil {
		return usageError{err}
	}
	if !slices.Contains(vex.Statuses, vex.Status(o.status)) {
		return usageError{fmt.Errorf("--status %q, expected not_affected, affected, under_investigation or fixed", o.status)}
	}
	switch vex.Status(o.status) {
	case vex.NotAffected:
		if o.justification == "" {
			return usageError{fmt.Errorf("--status not_affected needs --justification: %s", strings.Join(vex.Justifications, ", "))}
		}
	case vex.Affected:
		if o.action == "" {
			return usageError{errors.New("--status affected needs --action: what users should do, such as 'Update to 5.4.2.'")}
		}
	}
	ws, patterns, err := e.selected(ctx, "vex add", []string{o.selection}, false)
	if err != nil {
		return err
	}
	pattern := patterns[0]
	if len(patterns) > 1 || strings.ContainsAny(pattern.App, "*?") {
		return usageError{errors.New("a statement is about one app: select it by its name")}
	}
	evaluation, err := ws.evaluate(ctx, nix.Request{Patterns: []catalog.Pattern{{App: pattern.App, Component: "*", Variant: "*"}}})
	if err != nil {
		return err
	}
	for _, err := range evaluation.Failures {
		return err
	}
	entry := vex.Entry{
		Values: map[string]string{
			"vulnerability": o.vulnerability, "status": o.status, "justification": o.justification, "action": o.action,
			"notes": o.notes, "package": o.purl, "versions": o.versions, "expires": o.expires,
			"date": time.Now().UTC().Format(time.DateOnly),
		},
		Lists: map[string][]string{"aliases": o.aliases},
	}
	app := evaluation.Apps[pattern.App]
	for key, limit := range map[string]string{"components": pattern.Component, "variants": pattern.Variant} {
		if strings.ContainsAny(strings.TrimSuffix(limit, "*"), "*?") || limit != "*" && strings.HasSuffix(limit, "*") {
			return usageError{fmt.Errorf("%q: name one of the %s, or all with *", limit, key)}
		}
		if limit != "*" {
			entry.Lists[key] = []string{limit}
		}
	}
	file, err := vex.Add(ws.dir, app, entry, time.Now())
	if err != nil {
		return err
	}
	if o.json {
		return e.JSON(vexAddJSON{pattern.App, o.vulnerability, o.status, file})
	}
	return e.Printf("%s\n", file)
}

// vexAddJSON is the result of `vex add --json`.
type vexAddJSON struct {
	App           string `json:"app"`
	Vulnerability string `json:"vulnerability"` // its ID
	Status        string `json:"status"`        // not_affected, affected, under_investigation or fixed
	File          string `json:"file"`          // in the catalogue, which has the statement
}

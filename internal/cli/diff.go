package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/compare"
)

type diffOptions struct {
	words    []string // a selection with up to two releases, or two references
	registry registryOptions
	system   string
	output   string
	database string
	notes    bool
	format   string
	json     bool
	exitCode bool
}

func (e *env) diffCommand() *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff SELECTION [FROM [TO]] | REFERENCE REFERENCE",
		Short: "Compare two releases of an app",
		Long: `Compare two releases of an app: the versions, and whether the upgrade is allowed
(migration.minFrom); what the app needs; how its containers start: entrypoint,
command, environment, ports, user, volumes; layers and their sizes; packages and
their licences, from the SBOMs; known vulnerabilities; upstream's notes.

FROM and TO are tags of published releases, such as 5.4.0-1. Without TO, libre
compares FROM with the working tree, whose images it builds; without both, the
newest published release that is not withdrawn with the working tree. A
selection without a variant means the default one: docs, docs/backend,
docs/*/lyon.

Two references compare what registries have, without a catalogue: release
records, or images. A release that does not verify is not compared.

libre compares vulnerabilities if it has a database: one that scan has
downloaded, scan.database in libre.yaml, or --db. Hashes of store paths do not
count as a difference of the configuration.

If stdout is not a terminal, the output has one line per difference: section,
component, change, name, from, to. The exit code is 0 with or without
differences; with --exit-code it is 1 if there are any.`,
		Example: "  libre diff docs\n  libre diff docs 5.4.0-1 5.4.1-1\n  libre diff docs/*/lyon 5.4.0-1 -o markdown\n  libre diff registry.example/coop/docs-default:5.4.0-1 registry.example/coop/docs-default:5.4.1-1 --key cosign.pub",
		Args:    takes(0, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.words = args
			return e.runDiff(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	flags := cmd.Flags()
	o.registry.addFlags(cmd)
	o.registry.signer.addFlags(cmd)
	addOutputFlag(cmd, &o.output)
	flags.StringVar(&o.system, "system", "", "compare the images for `SYSTEM`, such as aarch64-linux (default: this machine's, if both releases have it)")
	flags.StringVar(&o.database, "db", "", "use the vulnerability database in `DIR|FILE|URL` (default: scan.database in libre.yaml, else the one that scan has downloaded)")
	flags.BoolVar(&o.notes, "notes", true, "read upstream's release notes")
	flags.StringVarP(&o.format, "output-format", "o", "table", "print as `FORMAT`: table or markdown")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	flags.BoolVar(&o.exitCode, "exit-code", false, "exit with code 1 if there are differences")
	return cmd
}

func (o *diffOptions) check() error {
	switch {
	case o.format != "table" && o.format != "markdown":
		return usageError{fmt.Errorf("format %q, expected table or markdown", o.format)}
	case o.json && o.format != "table":
		return usageError{fmt.Errorf("--json and -o %s: give one of them", o.format)}
	}
	for _, word := range o.words {
		if isRepository(word) {
			return noTag(word)
		}
	}
	if slices.ContainsFunc(o.words, isReference) && (len(o.words) != 2 || !isReference(o.words[0]) || !isReference(o.words[1])) {
		return usageError{errors.New("give two references, or a selection with tags such as 5.4.0-1, not both")}
	}
	return nil
}

func (e *env) runDiff(ctx context.Context, o diffOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	d := &differ{env: e, options: o, contents: e.contents}
	from, to, err := d.sides(ctx)
	if err != nil {
		return err
	}
	if !d.hasDatabase() {
		e.Notef("vulnerabilities are not compared: there is no database here; libre scan downloads one, or give --db")
	}
	if err := d.scan(ctx, from, to); err != nil {
		return err
	}
	comparison := compare.Compare(&from.Release, &to.Release)
	if o.notes && from.App == to.App {
		comparison.Notes = d.notes(ctx, to, comparison)
	}
	if err := d.print(comparison); err != nil {
		return err
	}
	if o.exitCode && comparison.Different {
		return errReported
	}
	return nil
}

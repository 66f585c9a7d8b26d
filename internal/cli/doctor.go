package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/doctor"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/settings"
	"github.com/libresh/libre/internal/ui"
)

type doctorOptions struct {
	registry registryOptions
	json     bool
}

func (e *env) doctorCommand() *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what libre needs on this machine",
		Long: `Check what libre needs on this machine, and print a fix for what is missing:
Nix, its settings and its remote builders, the package set, an engine for
Containerfiles, what runs apps, git, signing keys, tokens of forges, the sources
of the apps, and the folders that libre writes to. doctor checks only what this
catalogue uses.

With --to, or registry in libre.yaml, doctor also tests the registry: whether
you may push, whether it has the referrers API, whether tags can be overwritten,
and which verifiers find the signatures. To do so, it pushes libre-probe:probe
twice, and deletes it if the registry allows that. If repositories must be
created first, it pushes APP-VARIANT:libre-probe to a repository of the
catalogue.

The output has one line per check: check, state, what was found, fix. The state
is ok, note (only some builds, or libre run, need it), missing or wrong. --json
has the keys name, state, found and type.

Exit code 1 if something is missing or wrong, 4 if credentials are.`,
		Example: "  libre doctor\n  libre doctor --to registry.example/lasuite",
		Args:    takes(0, 0),
		RunE:    func(cmd *cobra.Command, args []string) error { return e.runDoctor(cmd.Context(), o) },
	}
	cmd.Flags().StringArrayVar(&o.registry.to, "to", nil, "test the `REGISTRY`[/NAMESPACE] (default: registry in libre.yaml)")
	cmd.Flags().BoolVar(&o.registry.insecure, "insecure", false, "allow plain HTTP and untrusted certificates (always allowed on the loopback address)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func (e *env) runDoctor(ctx context.Context, o doctorOptions) error {
	checks := e.subject(o).Run(ctx)
	var err error
	if o.json {
		err = e.JSON(checks)
	} else {
		err = e.Table(checkTable(checks))
	}
	if err != nil {
		return err
	}
	return checksError(checks)
}

// subject returns what doctor checks: this machine, and the catalogue if there is a valid
// one.
func (e *env) subject(o doctorOptions) doctor.Subject {
	ws, err := e.workspace()
	if err != nil {
		cache, _ := os.UserCacheDir()
		cache = filepath.Join(cache, "libre")
		ws = &workspace{warn: e.warn, settings: &settings.Settings{}, nix: &nix.Nix{CacheDir: cache}, cacheDir: cache}
		if errors.Is(err, errNoCatalogue) {
			err = nil
		}
	}
	return doctor.Subject{
		Dir: ws.dir, Problem: err, Settings: ws.settings, PackageSet: ws.packageSet, CacheDir: ws.cacheDir, Nix: ws.nix,
		Terminal: askPassword() != nil,
		Upstream: ws.upstream,
		Metadata: func(ctx context.Context) (*nix.Evaluation, error) {
			return ws.evaluate(ctx, nix.Request{Patterns: catalog.All})
		},
		Registries: func() ([]*registry.Client, error) {
			if len(o.registry.to) == 0 && ws.settings.Registry == "" {
				return nil, nil
			}
			return ws.registries(o.registry)
		},
	}
}

// checksError returns the error that decides the exit code. The checks are already printed.
func checksError(checks []doctor.Check) error {
	var failed error
	for _, check := range checks {
		if fault.Is(check.Err, fault.Credentials) {
			return &fault.Fault{Kind: fault.Credentials, Err: errReported}
		}
		if check.Failed() {
			failed = errReported
		}
	}
	return failed
}

func checkTable(checks []doctor.Check) ui.Table {
	styles := map[string]ui.Style{string(doctor.OK): ui.OK, string(doctor.Note): ui.Warn, string(doctor.Missing): ui.Error, string(doctor.Wrong): ui.Error}
	table := ui.Table{Header: []string{"CHECK", "STATE", "FOUND", "FIX"}, Sentences: []int{2, 3}, Style: func(column int, cell string) ui.Style {
		if column != 1 {
			return ui.None
		}
		return styles[cell]
	}}
	for _, c := range checks {
		table.Rows = append(table.Rows, []string{c.Name, string(c.State), c.Found, c.Fix})
	}
	return table
}

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/settings"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/ui"
)

func (e *env) doctorCommand() *cobra.Command {
	var o publishOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what libre needs on this machine, and say what to type",
		Long: `Checks Nix and its settings, the package set, the engines for Containerfiles,
git, the keys, the tokens that forges are sent, whether the sources of the apps are
there for them, and where libre writes: what would be used, so nothing of a package
set that is not. Exit code 1 where
something is missing or wrong, 4 where credentials are.

A registry that is named by --to or in libre.yaml is tried too: whether you may
push, whether it has the referrers API, whether tags can be overwritten, and
which verifiers will find the signatures. libre-probe:probe is written to it,
twice, and removed again if the registry allows that. Where repositories have to
be created first, it is APP-VARIANT:libre-probe in one of the catalogue's.

stdout has a line for each check: check; ok, note (only some builds need it),
missing or wrong; what was found; what to type. --json has the same as name, state,
found and type.`,
		Example: "  libre doctor\n  libre doctor --to registry.example/lasuite",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			checks := e.examine(cmd.Context(), o)
			var err error
			if asJSON {
				err = e.JSON(checks)
			} else {
				err = e.Table(checkTable(checks))
			}
			if err != nil {
				return err
			}
			return diagnosis(checks)
		},
	}
	cmd.Flags().StringArrayVar(&o.to, "to", nil, "try the `REGISTRY`[/NAMESPACE]\n(default: registry in libre.yaml)")
	cmd.Flags().BoolVar(&o.insecure, "insecure", false, "allow HTTP and unknown certificates, not only on the\nloopback address")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// check is one line of doctor.
type check struct {
	Name  string `json:"name"`
	State string `json:"state"` // ok, note (some builds need it), missing or wrong
	Found string `json:"found"`
	Type  string `json:"type,omitempty"` // what mends it
	err   error  // why it is wrong, where the exit code depends on it
}

// diagnosis is what the exit code says of the checks, which were printed.
func diagnosis(checks []check) error {
	var bad error
	for _, check := range checks {
		if fault.Is(check.err, fault.Credentials) {
			return &fault.Fault{Kind: fault.Credentials, Err: errReported}
		}
		if check.State == "missing" || check.State == "wrong" {
			bad = errReported
		}
	}
	return bad
}

func checkTable(checks []check) ui.Table {
	table := ui.Table{Header: []string{"CHECK", "STATE", "FOUND", "WHAT TO TYPE"}, Sentences: []int{2, 3}, Style: func(column int, cell string) ui.Style {
		if column != 1 {
			return ui.None
		}
		return map[string]ui.Style{"ok": ui.OK, "note": ui.Warn, "missing": ui.Error, "wrong": ui.Error}[cell]
	}}
	for _, c := range checks {
		table.Rows = append(table.Rows, []string{c.Name, c.State, c.Found, c.Type})
	}
	return table
}

func (e *env) examine(ctx context.Context, o publishOptions) []check {
	var checks []check
	add := func(name, state, found, mend string) { checks = append(checks, check{name, state, found, mend, nil}) }

	ws, err := e.workspace()
	if err != nil {
		if errors.Is(err, errNoCatalogue) {
			add("catalogue", "note", "none here: no flake.nix", "libre init my-catalogue, or -C DIRECTORY")
		} else {
			add("catalogue", "wrong", fault.Reason(err), cmp.Or(fault.Fix(err), "mend "+settings.File))
		}
		cache, _ := os.UserCacheDir()
		ws = &workspace{note: e.note, config: &settings.Settings{}, nix: &nix.Nix{CacheDir: filepath.Join(cache, "libre")}, cacheDir: filepath.Join(cache, "libre")}
	} else {
		add("catalogue", "ok", ws.dir, "")
	}

	if version, err := ws.nix.Version(ctx); err != nil {
		add("nix", "missing", "not found", "apt-get install nix-bin")
	} else if !nix.Supported(version) {
		add("nix", "missing", version+", 2.8 or newer is needed", "see https://nixos.org/download")
	} else {
		add("nix", "ok", version, "")
		checks = append(checks, evaluationCheck(ctx, ws))
		if sandbox, err := ws.nix.Setting(ctx, "sandbox"); err == nil && sandbox != "true" {
			add("nix sandbox", "note", "sandbox = "+sandbox+": builds see this machine", "sandbox = true in /etc/nix/nix.conf")
		} else if err == nil {
			add("nix sandbox", "ok", "sandbox = true", "")
		}
	}

	checks = append(checks, packageSetChecks(ctx, ws)...)
	checks = append(checks, engineChecks(ctx, ws)...)
	checks = append(checks, gitChecks(ctx, ws.dir)...)

	checks = append(checks, patchCheck())
	checks = append(checks, writeCheck("cache", ws.cacheDir))
	if ws.dir != "" {
		checks = append(checks, writeCheck("output", filepath.Join(ws.dir, "dist")))
	}
	checks = append(checks, signChecks(ctx, ws, o)...)
	checks = append(checks, forgeChecks(ctx, ws)...)
	checks = append(checks, sourceChecks(ctx, ws)...)
	return append(checks, registryChecks(ctx, ws, o)...)
}

// registryChecks tries the registries that are configured.
func registryChecks(ctx context.Context, ws *workspace, o publishOptions) []check {
	if len(o.to) == 0 && ws.config.Registry == "" {
		return nil
	}
	clients, err := ws.registries(o)
	if err != nil {
		return []check{{"registry", "wrong", err.Error(), "registry: REGISTRY[/NAMESPACE] in libre.yaml", err}}
	}
	var checks []check
	for _, client := range clients {
		checks = append(checks, tryRegistry(ctx, client, ws)...)
	}
	return checks
}

// registryPatience is how long a registry may take for all that it is asked.
const registryPatience = 30 * time.Second

// tryPush probes a registry, and where it creates no repositories on push, the first
// repository of the catalogue that it has.
func tryPush(ctx context.Context, client *registry.Client, ws *workspace) (registry.Probe, error) {
	probe, refused := client.Probe(ctx, registry.ProbeName)
	if ws.dir == "" || !fault.Is(refused, fault.NotFound) {
		return probe, refused
	}
	patterns, err := ws.selection(nil, true)
	if err != nil {
		return probe, refused
	}
	catalogue, err := ws.open(ctx)
	if err != nil {
		return probe, refused
	}
	evaluation, err := catalogue.Evaluate(ctx, nix.Request{Patterns: patterns})
	if err != nil {
		return probe, refused
	}
	for app := range valuesInOrder(evaluation.Apps) {
		for _, variant := range app.Variants {
			probe, err := client.Probe(ctx, app.Name+"-"+variant+":libre-probe")
			if !fault.Is(err, fault.NotFound) {
				return probe, err
			}
			refused = err
		}
	}
	return probe, refused
}

// tryRegistry says who can publish there, and who finds what was signed.
func tryRegistry(ctx context.Context, client *registry.Client, ws *workspace) []check {
	signing := ws.config.Sign
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	probe, err := tryPush(ctx, client, ws)
	if err != nil {
		found, mend := fault.Reason(err), strings.TrimPrefix(fault.Fix(err), "log in with: ")
		_, found, _ = strings.Cut(found, ": ") // without what was being pushed
		var network *net.OpError
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			found = fmt.Sprintf("no answer within %d seconds", registryPatience/time.Second)
		case errors.As(err, &network):
			found = "cannot be reached: " + network.Error()
		case fault.Is(err, fault.Credentials):
			found = "does not let you push: " + found
		case fault.Is(err, fault.NotFound):
			mend = cmp.Or(mend, "create the repository that it names at the registry, or let it create repositories on push")
		}
		return []check{{"registry", "wrong", fmt.Sprintf("%s: %s", client, found), cmp.Or(mend, "look at its name, and at the network"), err}}
	}
	checks := []check{{"registry", "ok", fmt.Sprintf("%s: you may push", client), "", nil}}
	add := func(name, state, found, mend string) { checks = append(checks, check{name, state, found, mend, nil}) }

	where := ""
	switch {
	case probe.Referrers:
		add("referrers API", "ok", "lists what is attached to an image", "")
	case !probe.Attachments:
		add("referrers API", "missing", "takes what is attached to an image, and does not list it afterwards", "another registry, or format: classic below sign in libre.yaml")
	default:
		add("referrers API", "ok", "none: what is attached to an image is listed by its tag sha256-…", "")
		where = ", at the fallback tag"
	}
	classic := signing.Format == sign.Classic
	switch {
	case probe.Overwrites:
		add("tags", "ok", "can be overwritten by all who may push", "")
	case classic || !probe.Referrers:
		add("tags", "note", "cannot be overwritten: no second thing can be attached to an image", "let tags sha256-* be overwritten, in the registry's settings")
	default:
		add("tags", "ok", "cannot be overwritten, not by --force or --also-tag either", "")
	}
	switch {
	case signing.None:
	case !classic:
		add("verifiers", "ok", "cosign 3, and cosign 2.6 with --new-bundle-format"+where, "")
	case signing.Keyless != nil:
		add("verifiers", "ok", "cosign 2 and 3", "")
	default:
		add("verifiers", "ok", "cosign 2 and 3, Kyverno, policy-controller", "")
	}
	return checks
}

// evaluationCheck evaluates a flake as every command does, with an input replaced.
func evaluationCheck(ctx context.Context, ws *workspace) check {
	if err := ws.nix.TryEvaluation(ctx); err != nil {
		return check{"nix evaluation", "missing", err.Error(), "mend what nix says, see https://nixos.org/download", nil}
	}
	return check{"nix evaluation", "ok", "a flake with a replaced input", "", nil}
}

// patchCheck looks for what bump tries patches with.
func patchCheck() check {
	path, err := exec.LookPath("patch")
	if err != nil {
		return check{"patch", "note", "not found: bump cannot try patches against a new source", "apt-get install patch", nil}
	}
	return check{"patch", "ok", path, "", nil}
}

func gitChecks(ctx context.Context, dir string) []check {
	if _, err := exec.LookPath("git"); err != nil {
		return []check{{"git", "missing", "not found", "apt-get install git", nil}}
	}
	if dir == "" {
		return nil
	}
	out, err := git.Output(ctx, dir, "status", "--porcelain")
	if errors.Is(err, git.ErrNoRepository) {
		return []check{{"git", "note", "the catalogue is in no git repository: nix copies all of it at each run", fault.Fix(err), nil}}
	}
	if err != nil {
		return []check{{"git", "missing", fault.Reason(err), fault.Fix(err), nil}}
	}
	if untracked := nix.UntrackedApps(dir); len(untracked) > 0 {
		return []check{{"git", "note", "not tracked, so not seen by nix: apps/" + strings.Join(untracked, ", apps/"), "git add apps/" + strings.Join(untracked, " apps/"), nil}}
	}
	if len(out) > 0 {
		return []check{{"git", "ok", "tracked, with uncommitted changes", "", nil}}
	}
	return []check{{"git", "ok", "tracked and committed", "", nil}}
}

// writeCheck tries to make a file where libre will write.
func writeCheck(name, dir string) check {
	existing := dir
	for existing != filepath.Dir(existing) {
		if _, err := os.Stat(existing); err == nil {
			break
		}
		existing = filepath.Dir(existing)
	}
	file, err := os.CreateTemp(existing, ".libre-doctor-")
	if err != nil {
		return check{name, "missing", "cannot write to " + dir, "chown -R $USER " + existing, nil}
	}
	file.Close()
	os.Remove(file.Name())
	return check{name, "ok", dir, "", nil}
}

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/newapp"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	nixcode "github.com/libresh/libre/nix"
)

type initOptions struct {
	dir        string
	name       string   // for people; "" for the template's
	registry   string   // REGISTRY[/NAMESPACE]; "" for none
	systems    []string // none: this machine's
	packageSet string   // nixpkgs, or host; "" for nixpkgs, which is not written down
	forge      string   // one of nixcode.Forges; "" for no workflows
	machines   int      // that publish at once
	app        string   // withExamples, withNone or the source of the first app
	json       bool
}

// What the first app can be, besides the source of one.
const (
	withExamples = "examples"
	withNone     = "none"
)

func (e *env) initCommand() *cobra.Command {
	o := initOptions{dir: "."}
	cmd := &cobra.Command{
		Use:   "init [DIRECTORY]",
		Short: "Make a new catalogue, or add workflows to one",
		Long: `Make a catalogue with two apps, pocketbase and guestbook, in a new or empty
directory, by default this one. init makes it a git repository, and adds the
files to it, because Nix sees only what git tracks.

On a terminal, init asks for what no flag says: name, registry, systems, package
set, CI and the first app. Elsewhere the flags decide.

If nixpkgs cannot be reached, or LIBRE_PACKAGE_SET is set, the package set is
written into libre.yaml.

--ci adds workflows for GitHub Actions, Forgejo Actions or GitLab CI. They bump
apps daily and inputs weekly by pull requests, check each pull request, publish
what is merged to main, scan it daily, and publish its public page to GitHub
Pages or GitLab Pages, or in the branch pages. Each file begins with what it
needs. In a directory that has a catalogue, init writes only these files, and
replaces none. With --ci-machines N, up to N machines build and publish at once.
A first job divides what needs work among them.`,
		Example: "  libre init my-catalogue\n  libre init my-catalogue --registry registry.example/coop --app https://github.com/suitenumerique/docs\n  libre init --ci forgejo",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.dir = args[0]
			}
			if o.packageSet = e.packageSet; o.packageSet == "" {
				o.packageSet = os.Getenv("LIBRE_PACKAGE_SET")
			}
			return e.runInit(cmd.Context(), o, cmd.Flags().Changed)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.name, "name", "", "the `NAME` of the catalogue, for people")
	flags.StringVar(&o.registry, "registry", "", "publish images to `REGISTRY`[/NAMESPACE]")
	flags.StringSliceVar(&o.systems, "system", nil, "publish images for `SYSTEMS`, such as x86_64-linux,aarch64-linux (default: this machine's)")
	flags.StringVar(&o.forge, "ci", "", "add workflows for this `FORGE`: github, forgejo or gitlab")
	o.machines = 1
	flags.Var(number{&o.machines, 1, nixcode.MostMachines}, "ci-machines", "of --ci: publish with up to `N` machines at once")
	flags.StringVar(&o.app, "app", withExamples, "the first app: examples, none, or the `SOURCE` of one, as libre new --from takes it")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

// runInit makes a catalogue. given reports whether a flag was given.
func (e *env) runInit(ctx context.Context, o initOptions, given func(flag string) bool) error {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	if _, err := os.Stat(filepath.Join(o.dir, "flake.nix")); err == nil && o.forge != "" {
		return e.addWorkflows(ctx, o, nixcode.Workflows(o.forge, o.machines))
	}
	if err := checkEmpty(o.dir); err != nil {
		return err
	}
	machine, err := nix.MachineSystem()
	if err != nil {
		return fmt.Errorf("making a catalogue: %w", err)
	}
	if o.packageSet == "" && !nixpkgsIsInReach(ctx) {
		e.Notef("nixpkgs cannot be reached, so packages come from this machine: packageSet: host")
		o.packageSet = nix.HostPackageName
	}
	if e.canAsk() {
		if err := e.askInit(ctx, &o, given, machine); err != nil {
			return err
		}
	}
	if len(o.systems) == 0 {
		o.systems = []string{machine}
	}
	files, err := writeCatalogue(ctx, o, nixcode.Workflows(o.forge, o.machines))
	if err != nil {
		return err
	}
	return e.finishInit(ctx, o, files)
}

// initJSON is the result of `init --json`.
type initJSON struct {
	Directory string   `json:"directory"`      // of the catalogue
	Files     []string `json:"files"`          // that were written, in the catalogue
	Kept      []string `json:"kept,omitempty"` // workflows that exist and differ from libre's
	App       *newJSON `json:"app,omitempty"`  // the first app, if --app names its source
}

// finishInit says what to do next, and adds the first app.
func (e *env) finishInit(ctx context.Context, o initOptions, files []string) error {
	enter := ""
	if o.dir != "." {
		enter = "cd " + o.dir + ", then "
	}
	next := "libre list, libre build --all; libre new adds an app of your own"
	if o.app != withExamples {
		next = "libre new NAME --from URL adds an app"
	}
	e.Notef("made a catalogue in %s; next: %s%s", o.dir, enter, next)
	if o.forge != "" {
		e.noteWorkflows(o.forge)
	}
	hasSource := o.app != withExamples && o.app != withNone
	first := newOptions{request: newapp.Request{Name: appName(o.app), From: o.app}}
	e.directory = o.dir
	switch {
	case hasSource && !o.json:
		return e.runNew(ctx, first)
	case !o.json:
		return nil
	}
	result := initJSON{Directory: o.dir, Files: files}
	if hasSource {
		app, _, err := e.writeNew(ctx, first)
		if err != nil {
			return err
		}
		result.App = &app
	}
	return e.JSON(result)
}

func (e *env) noteWorkflows(forge string) {
	read := "." + forge + "/workflows/libre-*.yml need"
	if forge == "gitlab" {
		read = ".gitlab/libre.yml needs"
	}
	e.Notef("the workflows run on the branch main, with the libre that flake.lock pins; next: nix flake lock, commit it, and read what %s", read)
}

// appName returns the name for an app from the last part of its source's address.
func appName(source string) string {
	source, _, _ = strings.Cut(source, "/tree/")
	return strings.ToLower(strings.TrimSuffix(path.Base(strings.TrimRight(source, "/")), ".git"))
}

// systemsOfImages lists the systems that libre makes images for.
var systemsOfImages = []string{"x86_64-linux", "aarch64-linux"}

// inNix matches text that needs no escapes in a Nix string.
var inNix = lazyregexp.New(`^[^"\\$\x00-\x1f\x7f]{1,80}$`)

// check returns an error for a wrong choice, which begins with its flag.
func (o initOptions) check() error {
	if o.name != "" && !inNix().MatchString(o.name) {
		return fmt.Errorf("--name %q, expected at most 80 characters without quotes, backslashes and $", o.name)
	}
	if o.registry != "" {
		if _, err := registry.NewClient(o.registry, registry.Options{}); err != nil {
			return fmt.Errorf("--registry: %w", err)
		}
	}
	for _, system := range o.systems {
		if !slices.Contains(systemsOfImages, system) {
			return fmt.Errorf("--system %s, expected %s", system, strings.Join(systemsOfImages, " or "))
		}
	}
	if o.forge != "" && !slices.Contains(nixcode.Forges, o.forge) {
		return fmt.Errorf("--ci %s, expected github, forgejo or gitlab", o.forge)
	}
	if o.machines > 1 && o.forge == "" {
		return errors.New("--ci-machines: give --ci too")
	}
	if o.app == "" {
		return errors.New("--app is empty, expected examples, none or the source of an app")
	}
	_, err := packageSet(o.packageSet, "")
	return err
}

// fill writes what was chosen into a file of the template.
func (o initOptions) fill(path string, content []byte) []byte {
	replace := func(old, new string) { content = bytes.Replace(content, []byte(old), []byte(new), 1) }
	switch path {
	case "README.md":
		if o.registry != "" {
			replace("Name your registry and a key in `libre.yaml`. Here, the registry is\n`libre serve --writable registry`:", "Name a key in `libre.yaml`:")
			replace("registry: localhost:5000/suite\n", "")
		}
		if o.app != withExamples {
			content = withoutExamples(content, o.app)
		}
	case "flake.nix":
		replace(`[ "x86_64-linux" ];`, `[ "`+strings.Join(o.systems, `" "`)+`" ];`)
		if o.name != "" {
			replace("A catalogue of web applications", o.name)
		}
	case "libre.yaml":
		if o.registry != "" {
			replace("# registry: registry.example/lasuite", "registry: "+o.registry)
		}
		if o.packageSet != "" {
			replace("# packageSet: host", "packageSet: "+o.packageSet)
		}
		if o.app != withExamples {
			replace("groups:\n  public: [guestbook, pocketbase]", "# groups:\n#   public: [docs, meet]")
		}
	}
	return content
}

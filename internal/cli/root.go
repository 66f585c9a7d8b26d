// Package cli is libre's command line: one file a command, each parses, makes
// one call and prints. Exit codes and error text are in errors.go.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/settings"
	"github.com/libresh/libre/internal/ui"
)

// app is what the commands share: global flags, streams and what is made of them
// when a command asks.
type app struct {
	directory string // -C
	set       string // --package-set
	builders  string // --builders
	logFormat string // --log-format
	local     bool   // --allow-local-inputs

	options ui.Options
	running bool // what was typed is understood
	*ui.UI
}

// Main runs libre with its arguments and gives the exit code.
func Main(ctx context.Context, args []string, options ui.Options) int {
	// Nothing that libre makes is to be written by everybody, whatever the umask says.
	syscall.Umask(syscall.Umask(0) | 0o002)
	a := &app{options: options, UI: ui.New(options)}
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetOut(options.Stdout)
	root.SetErr(options.Stderr)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		err = ctx.Err()
	}
	if err != nil && !a.running {
		err = usageError{excluding(err)} // cobra's own: an unknown command, flags that exclude each other
	}
	if err != nil {
		a.report(err)
	}
	return exitCode(err)
}

var excludingFlags = regexp.MustCompile(`^if any flags in the group \[.*; \[(.*)\] were all set$`)

// excluding says in a few words that flags exclude each other.
func excluding(err error) error {
	found := excludingFlags.FindStringSubmatch(err.Error())
	if found == nil {
		return err
	}
	return fmt.Errorf("--%s: give one of them, not both", strings.Join(strings.Fields(found[1]), " and --"))
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "libre",
		Short: "Build the container images of a catalogue of web applications",
		Long: `libre turns a folder of Nix definitions into the container images of a catalogue
of web applications: it builds them, publishes them signed and described, and
follows upstream's releases.

A catalogue is a flake with a folder apps/. Its images are named
app-component-variant:appver-pkgver. Selections are the same everywhere: docs,
docs/backend, docs/backend/lyon, globs in each part, and @group of libre.yaml.

Settings are in libre.yaml, next to flake.nix; LIBRE_REGISTRY, LIBRE_PACKAGE_SET
and LIBRE_ENGINE beat it, and flags beat these. Results are on stdout, one a
line, tab-separated where that is no terminal; progress and notes on stderr.

Exit codes: 0 done, 1 error, 2 wrong usage, 3 some images or apps failed,
4 credentials, 10 something is outdated (bump --check), 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			switch a.logFormat {
			case "text":
			case "json":
				a.options.JSON = true
				a.UI = ui.New(a.options)
			default:
				return usageError{fmt.Errorf("log format %q, expected text or json", a.logFormat)}
			}
			err := a.temporary()
			a.running = err != nil // it is none of usage
			return err
		},
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.directory, "directory", "C", "", "use the catalogue in `DIR`\n(default: the nearest flake.nix, from here upwards)")
	flags.StringVar(&a.set, "package-set", "", "pkgs is the `SET` nixpkgs, or host: made of this\nmachine's Go and busybox (default: packageSet in\nlibre.yaml, else nixpkgs)")
	flags.BoolVar(&a.local, "allow-local-inputs", false, "let the catalogue's inputs be files of this machine, or not locked")
	flags.StringVar(&a.builders, "builders", "", "let `MACHINES` build for Nix, as nix --builders does")
	flags.StringVar(&a.logFormat, "log-format", "text", "`FORMAT` on stderr: text or json")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		a.listCommand(), a.showCommand(), a.planCommand(), a.buildCommand(), a.pushCommand(), a.statusCommand(),
		a.verifyCommand(), a.sbomCommand(), a.bumpCommand(), a.checkCommand(), a.serveCommand(), a.keygenCommand(), a.initCommand(), a.doctorCommand(), a.loginCommand(), a.completionCommand(), a.versionCommand(),
	)
	for _, command := range root.Commands() {
		if run := command.RunE; run != nil {
			command.RunE = func(cmd *cobra.Command, args []string) error {
				a.running = true
				return run(cmd, args)
			}
		}
	}
	return root
}

// takes checks how many arguments a command got.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		got := fmt.Sprintf("%d arguments", len(args))
		switch len(args) {
		case 0:
			got = "no argument"
		case 1:
			got = strconv.Quote(args[0])
		}
		return usageError{fmt.Errorf("got %s, expected: libre %s", got, cmd.Use)}
	}
}

// place is a catalogue on disk with its settings.
type place struct {
	dir        string
	config     *settings.Settings
	packageSet string
	nix        *nix.Nix
	cacheDir   string
	logDir     string

	note func(string) // says what does not end the run
}

// place finds the catalogue and reads its settings. It starts nothing.
func (a *app) place() (*place, error) {
	dir, err := findCatalogue(a.directory)
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir, note: a.note}
	if p.config, err = settings.Read(dir, os.Getenv); err != nil {
		return nil, err
	}
	if p.packageSet, err = packageSet(a.set, p.config.PackageSet); err != nil {
		return nil, err
	}
	if p.cacheDir, err = cacheDir(); err != nil {
		return nil, err
	}
	p.logDir = filepath.Join(p.cacheDir, "logs")
	if err := p.trustAuthorities(); err != nil {
		return nil, err
	}
	p.nix = &nix.Nix{CacheDir: p.cacheDir, OutcomeDir: filepath.Join(p.cacheDir, "evaluations"), LogDir: p.logDir, AllowLocalInputs: a.local}
	p.nix.Fetcher = sync.OnceValues(p.fetcher)
	p.nix.Warn = func(warning string) { a.Warnf("nix: %s", warning) }
	if p.packageSet == nix.HostPackageName {
		// Nobody's cache has what this machine's own Go builds: do not wait for one.
		p.nix.Options = append(p.nix.Options, "--option", "download-attempts", "1")
	}
	if a.builders != "" {
		p.nix.Options = append(p.nix.Options, "--builders", a.builders)
	}
	return p, nil
}

// cacheDir is where libre keeps what it can make again.
func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	dir := filepath.Join(cache, "libre")
	if _, err := os.Lstat(dir); err == nil {
		_ = private.Folder(dir) // a link of this user's own is left as it is
	}
	if err := private.Guarded(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", &fault.Fault{Doing: "opening the cache", Err: err, Fix: "remove it, or set XDG_CACHE_HOME to a folder of your own"}
	}
	return dir, nil
}

// temporary sees to it that nobody swaps what libre puts into the folder for temporary
// files: where others can, one of the cache is used.
func (a *app) temporary() error {
	err := private.Guarded(os.TempDir())
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	cache, missing := cacheDir()
	if missing != nil {
		return missing
	}
	own := filepath.Join(cache, "tmp")
	if err := private.Folder(own); err != nil {
		return err
	}
	a.Warnf("TMPDIR: %v: %s is used instead", err, own)
	return os.Setenv("TMPDIR", own)
}

var errNoCatalogue = errors.New("no catalogue here: no flake.nix; libre init makes a catalogue, -C DIRECTORY names one")

// note says what does not end the run.
func (a *app) note(text string) { a.Warnf("%s", text) }

// findCatalogue gives the absolute path of the nearest directory with a
// flake.nix, from start upwards.
func findCatalogue(start string) (string, error) {
	dir, err := filepath.Abs(start)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "flake.nix")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir || start != "" {
			return "", errNoCatalogue
		}
		dir = parent
	}
}

// open prepares the catalogue for evaluation.
func (p *place) open(ctx context.Context) (*nix.Catalogue, error) {
	if err := p.refuseTrackedSecrets(ctx); err != nil {
		return nil, err
	}
	return p.nix.OpenCatalogue(ctx, p.dir, p.packageSet)
}

// selection reads selections; all stands for every image.
func (p *place) selection(words []string, all bool) ([]catalog.Pattern, error) {
	if all && len(words) > 0 {
		return nil, usageError{fmt.Errorf("--all and the selection %s: give one of them", words[0])}
	}
	if all {
		return catalog.All, nil
	}
	patterns, err := catalog.ParseSelection(words, p.config.Groups)
	if err != nil {
		return nil, usageError{err}
	}
	return patterns, nil
}

// nothingSelected lists what there is, where a command needs a selection.
// Of one that takes a single image, or apps alone, --all is not offered.
func (a *app) nothingSelected(ctx context.Context, p *place, command string) error {
	catalogue, err := p.open(ctx)
	if err != nil {
		return err
	}
	evaluation, err := catalogue.Evaluate(ctx, nix.Request{Patterns: catalog.All})
	if err != nil {
		return err
	}
	names := strings.Join(evaluation.Names, " ")
	if command == "show" || command == "sbom" {
		return usageError{fmt.Errorf("nothing selected: libre %s with one of: %s", command, names)}
	}
	return usageError{fmt.Errorf("nothing selected: libre %s --all, or some of: %s", command, names)}
}

// packageSet checks the name of a package set that was typed; where none was, it is
// that of the settings, and nixpkgs where these name none.
func packageSet(typed, configured string) (string, error) {
	switch typed {
	case "":
		return cmp.Or(configured, nix.Nixpkgs), nil
	case nix.Nixpkgs, nix.HostPackageName:
		return typed, nil
	}
	return "", usageError{fmt.Errorf("package set %q, expected nixpkgs or host", typed)}
}

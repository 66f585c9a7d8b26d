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

// env is what the commands share: global flags, streams and what is made of them
// when a command asks.
type env struct {
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
	e := &env{options: options, UI: ui.New(options)}
	root := e.rootCommand()
	root.SetArgs(args)
	root.SetOut(options.Stdout)
	root.SetErr(options.Stderr)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		err = ctx.Err()
	}
	if err != nil && !e.running {
		err = usageError{excluding(err)} // cobra's own: an unknown command, flags that exclude each other
	}
	if err != nil {
		e.report(err)
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

func (e *env) rootCommand() *cobra.Command {
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
			switch e.logFormat {
			case "text":
			case "json":
				e.options.JSON = true
				e.UI = ui.New(e.options)
			default:
				return usageError{fmt.Errorf("log format %q, expected text or json", e.logFormat)}
			}
			err := e.temporary()
			e.running = err != nil // it is none of usage
			return err
		},
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&e.directory, "directory", "C", "", "use the catalogue in `DIR`\n(default: the nearest flake.nix, from here upwards)")
	flags.StringVar(&e.set, "package-set", "", "pkgs is the `SET` nixpkgs, or host: made of this\nmachine's Go and busybox (default: packageSet in\nlibre.yaml, else nixpkgs)")
	flags.BoolVar(&e.local, "allow-local-inputs", false, "let the catalogue's inputs be files of this machine, or not locked")
	flags.StringVar(&e.builders, "builders", "", "let `MACHINES` build for Nix, as nix --builders does")
	flags.StringVar(&e.logFormat, "log-format", "text", "`FORMAT` on stderr: text or json")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		e.listCommand(), e.showCommand(), e.planCommand(), e.buildCommand(), e.pushCommand(), e.statusCommand(),
		e.verifyCommand(), e.sbomCommand(), e.bumpCommand(), e.checkCommand(), e.serveCommand(), e.keygenCommand(), e.initCommand(), e.doctorCommand(), e.loginCommand(), e.completionCommand(), e.versionCommand(),
	)
	for _, command := range root.Commands() {
		if run := command.RunE; run != nil {
			command.RunE = func(cmd *cobra.Command, args []string) error {
				e.running = true
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

// workspace is a catalogue on disk with its settings.
type workspace struct {
	dir        string
	config     *settings.Settings
	packageSet string
	nix        *nix.Nix
	cacheDir   string
	logDir     string

	note func(string) // says what does not end the run
}

// workspace finds the catalogue and reads its settings. It starts nothing.
func (e *env) workspace() (*workspace, error) {
	dir, err := findCatalogue(e.directory)
	if err != nil {
		return nil, err
	}
	ws := &workspace{dir: dir, note: e.note}
	if ws.config, err = settings.Read(dir, os.Getenv); err != nil {
		return nil, err
	}
	if ws.packageSet, err = packageSet(e.set, ws.config.PackageSet); err != nil {
		return nil, err
	}
	if ws.cacheDir, err = cacheDir(); err != nil {
		return nil, err
	}
	ws.logDir = filepath.Join(ws.cacheDir, "logs")
	if err := ws.trustAuthorities(); err != nil {
		return nil, err
	}
	ws.nix = &nix.Nix{CacheDir: ws.cacheDir, OutcomeDir: filepath.Join(ws.cacheDir, "evaluations"), LogDir: ws.logDir, AllowLocalInputs: e.local}
	ws.nix.Fetcher = sync.OnceValues(ws.fetcher)
	ws.nix.Warn = func(warning string) { e.Warnf("nix: %s", warning) }
	if ws.packageSet == nix.HostPackageName {
		// Nobody's cache has what this machine's own Go builds: do not wait for one.
		ws.nix.Options = append(ws.nix.Options, "--option", "download-attempts", "1")
	}
	if e.builders != "" {
		ws.nix.Options = append(ws.nix.Options, "--builders", e.builders)
	}
	return ws, nil
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
	if err := private.CheckTrusted(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", &fault.Fault{Doing: "opening the cache", Err: err, Fix: "remove it, or set XDG_CACHE_HOME to a folder of your own"}
	}
	return dir, nil
}

// temporary sees to it that nobody swaps what libre puts into the folder for temporary
// files: where others can, one of the cache is used.
func (e *env) temporary() error {
	err := private.CheckTrusted(os.TempDir())
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
	e.Warnf("TMPDIR: %v: %s is used instead", err, own)
	return os.Setenv("TMPDIR", own)
}

var errNoCatalogue = errors.New("no catalogue here: no flake.nix; libre init makes a catalogue, -C DIRECTORY names one")

// note says what does not end the run.
func (e *env) note(text string) { e.Warnf("%s", text) }

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
func (ws *workspace) open(ctx context.Context) (*nix.Catalogue, error) {
	if err := ws.refuseTrackedSecrets(ctx); err != nil {
		return nil, err
	}
	return ws.nix.OpenCatalogue(ctx, ws.dir, ws.packageSet)
}

// selection reads selections; all stands for every image.
func (ws *workspace) selection(words []string, all bool) ([]catalog.Pattern, error) {
	if all && len(words) > 0 {
		return nil, usageError{fmt.Errorf("--all and the selection %s: give one of them", words[0])}
	}
	if all {
		return catalog.All, nil
	}
	patterns, err := catalog.ParseSelection(words, ws.config.Groups)
	if err != nil {
		return nil, usageError{err}
	}
	return patterns, nil
}

// nothingSelected lists what there is, where a command needs a selection.
// Of one that takes a single image, or apps alone, --all is not offered.
func (e *env) nothingSelected(ctx context.Context, ws *workspace, command string) error {
	catalogue, err := ws.open(ctx)
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
